/* Waits for the signal to end, and reaps the orphans of a pod with a shared PID namespace. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static void end(int number) { _exit(number == SIGINT || number == SIGTERM ? 0 : 1); }

int main(void) {
    struct sigaction reap = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT};
    if (signal(SIGTERM, end) == SIG_ERR || signal(SIGINT, end) == SIG_ERR ||
        sigaction(SIGCHLD, &reap, NULL) != 0)
        return EXIT_FAILURE;
    for (;;)
        pause();
}
