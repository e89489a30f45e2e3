import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** The wish to end, by SIGTERM; the process then lives until its last line is written. */
final class Ending {
    private static final int LAST_LINE_S = 60;

    private final CountDownLatch told = new CountDownLatch(1);
    private final CountDownLatch over = new CountDownLatch(1);

    Ending() {
        Runtime.getRuntime().addShutdownHook(new Thread(this::hold));
    }

    /** Returns true as soon as the process is told to end, or false after so many seconds. */
    boolean await(int seconds) throws InterruptedException {
        return told.await(seconds, TimeUnit.SECONDS);
    }

    /** Lets the process go. */
    void over() {
        over.countDown();
    }

    private void hold() {
        told.countDown();
        try {
            over.await(LAST_LINE_S, TimeUnit.SECONDS);
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
        }
    }
}
