import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Receives the messages of a run from the first one on until it is told to end. Lines: "begin";
 * "got" with number, shard, broker, queue, offset; "bad" with what is wrong with a message; "end".
 *
 * <p>A message is in the journal before its queue goes on, and one thread takes all messages: the
 * lines of a queue are in the order in which the library handed its messages over. With --slow each
 * message takes so many milliseconds before its line is written.
 */
final class LoadConsumer {
    private static final int COMMITS = 2;
    private static final int COMMIT_MS = 500;

    private final Options options;
    private final String run;
    private final int slowMs;
    private final Journal journal;
    private final Ending ending = new Ending();

    LoadConsumer(Options options) throws Exception {
        this.options = options;
        run = options.text("--run");
        slowMs = options.number("--slow", 0);
        journal = new Journal(options.text("--journal"));
    }

    boolean run() throws Exception {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(options.text("--group"));
        consumer.setNamesrvAddr(options.text("--namesrv"));
        consumer.setConsumeFromWhere(
            Boolean.parseBoolean(options.text("--from-last", "false"))
                ? ConsumeFromWhere.CONSUME_FROM_LAST_OFFSET
                : ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        Polling.apply(options, consumer);
        consumer.setConsumeThreadMin(1);
        consumer.setConsumeThreadMax(1);
        consumer.setConsumeMessageBatchMaxSize(32);
        consumer.subscribe(options.text("--topic"), "*");
        listen(consumer);
        try {
            journal.write("begin");
            consumer.start();
            boolean told = ending.await(options.number("--seconds"));
            commit(consumer);
            consumer.shutdown();
            journal.end(told);
            return told;
        } finally {
            ending.over();
        }
    }

    /** The library does not wait for answers to its commits: one that is lost at the end stays so. */
    private static void commit(DefaultMQPushConsumer consumer) throws InterruptedException {
        consumer.suspend();
        for (int time = 0; time < COMMITS; time++) {
            Thread.sleep(COMMIT_MS);
            consumer.getDefaultMQPushConsumerImpl().persistConsumerOffset();
        }
        Thread.sleep(COMMIT_MS);
    }

    private void listen(DefaultMQPushConsumer consumer) {
        if (Boolean.parseBoolean(options.text("--ordered", "false"))) {
            consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
                take(messages, context.getMessageQueue());
                return ConsumeOrderlyStatus.SUCCESS;
            });
        } else {
            consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
                take(messages, context.getMessageQueue());
                return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
            });
        }
    }

    private void take(List<MessageExt> messages, MessageQueue queue) {
        for (MessageExt message : messages) {
            LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(slowMs));
            try {
                LoadMessage read = LoadMessage.in(message);
                if (read.run.equals(run)) {
                    journal.write("got", read.sequence, read.shard, queue.getBrokerName(),
                        queue.getQueueId(), message.getQueueOffset());
                }
            } catch (IllegalArgumentException error) {
                journal.write("bad", error.getMessage() + " in " + queue);
            }
        }
    }
}
