import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** How the transactions of a load end; asked again, the answer is the same for the same message. */
final class LoadTransactions implements TransactionListener {
    private final LoadKind.Mixture mixture;

    LoadTransactions(LoadKind.Mixture mixture) {
        this.mixture = mixture;
    }

    @Override
    public LocalTransactionState executeLocalTransaction(Message message, Object argument) {
        switch (mixture.of(LoadMessage.in(message).sequence)) {
            case COMMITTED:
                return LocalTransactionState.COMMIT_MESSAGE;
            case UNDONE:
                return LocalTransactionState.ROLLBACK_MESSAGE;
            default:
                return LocalTransactionState.UNKNOW;
        }
    }

    @Override
    public LocalTransactionState checkLocalTransaction(MessageExt message) {
        return mixture.of(LoadMessage.in(message).sequence) == LoadKind.UNDONE
            ? LocalTransactionState.ROLLBACK_MESSAGE
            : LocalTransactionState.COMMIT_MESSAGE;
    }
}
