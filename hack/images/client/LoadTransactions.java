import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** How the transactions of a load end; asked again, the answer is the same for the same message. */
final class LoadTransactions implements TransactionListener {
    private static final int ASKED_S = 40;

    private final LoadKind.Mixture mixture;
    private final Set<Long> undecided = ConcurrentHashMap.newKeySet();

    LoadTransactions(LoadKind.Mixture mixture) {
        this.mixture = mixture;
    }

    @Override
    public LocalTransactionState executeLocalTransaction(Message message, Object argument) {
        long sequence = LoadMessage.in(message).sequence;
        switch (mixture.of(sequence)) {
            case COMMITTED:
                return LocalTransactionState.COMMIT_MESSAGE;
            case UNDONE:
                return LocalTransactionState.ROLLBACK_MESSAGE;
            default:
                undecided.add(sequence);
                return LocalTransactionState.UNKNOW;
        }
    }

    @Override
    public LocalTransactionState checkLocalTransaction(MessageExt message) {
        long sequence = LoadMessage.in(message).sequence;
        undecided.remove(sequence);
        return mixture.of(sequence) == LoadKind.UNDONE
            ? LocalTransactionState.ROLLBACK_MESSAGE
            : LocalTransactionState.COMMIT_MESSAGE;
    }

    /** Waits until brokers have asked about all that are undecided: nobody else could tell them. */
    void awaitAsked() throws InterruptedException {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(ASKED_S);
        while (!undecided.isEmpty() && System.nanoTime() < deadline) {
            TimeUnit.MILLISECONDS.sleep(100);
        }
        // The answer is sent by a thread of the library, and nobody confirms it.
        TimeUnit.SECONDS.sleep(1);
    }
}
