import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageAccessor;

/**
 * What is special about a message of a load; its number says which. A producer that is asked for
 * all of them sends one in so many of each, and transactions in turn of their three ends.
 */
enum LoadKind {
    /** To be received at once. */
    PLAIN,
    /** By a delay level. */
    DELAYED,
    /** By a timer: RocketMQ 5. */
    TIMED,
    /** A transaction that its sender commits. */
    COMMITTED,
    /** A transaction about which the broker has to ask; the answer is to commit. */
    UNDECIDED,
    /** A transaction that its sender rolls back: nobody may receive it. */
    UNDONE;

    private static final String TIMER_DELAY_S = "TIMER_DELAY_SEC";
    private static final int[] LEVELS_S = {
        1, 5, 10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1200, 1800, 3600, 7200};
    private static final LoadKind[] ENDS = {COMMITTED, UNDECIDED, UNDONE};

    boolean isTransaction() {
        return this == COMMITTED || this == UNDECIDED || this == UNDONE;
    }

    String word() {
        return name().toLowerCase(java.util.Locale.ROOT);
    }

    /** Which messages are special, as the options of a producer say. */
    static final class Mixture {
        final int transactions;
        private final int delayed;
        private final int timed;
        private final int delayLevel;
        private final int timerSeconds;

        Mixture(Options options) {
            delayed = options.number("--delayed", 0);
            timed = options.number("--timed", 0);
            transactions = options.number("--transactions", 0);
            delayLevel = options.number("--delay-level", 3);
            timerSeconds = options.number("--timer-seconds", 10);
        }

        LoadKind of(long sequence) {
            if (transactions > 0 && sequence % transactions == 0) {
                return ENDS[(int) (sequence / transactions % ENDS.length)];
            }
            if (delayed > 0 && sequence % delayed == delayed / 2) {
                return DELAYED;
            }
            return timed > 0 && sequence % timed == timed / 3 ? TIMED : PLAIN;
        }

        /** Gives a message what makes it of this kind; returns after how many seconds it is due. */
        int mark(Message message, LoadKind kind) {
            if (kind == DELAYED) {
                message.setDelayTimeLevel(delayLevel);
                return LEVELS_S[delayLevel - 1];
            }
            if (kind == TIMED) {
                // By its property: the library of 4.9 has no method for it.
                MessageAccessor.putProperty(message, TIMER_DELAY_S, Integer.toString(timerSeconds));
                return timerSeconds;
            }
            return 0;
        }
    }
}
