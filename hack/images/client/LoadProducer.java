import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Sends numbered messages at a steady rate until it is told to end; the library's own timeout and
 * retries apply. Lines: "begin"; "ack" with number, shard, SendStatus, id, broker, queue, offset,
 * kind, when it is due in milliseconds since the epoch; "undone" with number and shard for a
 * transaction that was rolled back; "fail" with number, shard, kind of error, its text; "stopped"
 * when no more is sent; "end".
 *
 * <p>A thread that a send holds up does not make up for it later: a gap is to be seen as one. With
 * --ordered the messages of a thread share a queue, as long as the route does not change, and the
 * library then sends each only once.
 */
final class LoadProducer {
    private final Options options;
    private final String run;
    private final String topic;
    private final int threads;
    private final boolean ordered;
    private final LoadKind.Mixture mixture;
    private final LoadTransactions transactions;
    private final Journal journal;
    private final Ending ending = new Ending();
    private final DefaultMQProducer producer;
    private final AtomicLong sequence = new AtomicLong();
    private final CountDownLatch stopped = new CountDownLatch(1);

    LoadProducer(Options options) throws Exception {
        this.options = options;
        run = options.text("--run");
        topic = options.text("--topic");
        threads = options.number("--threads", 4);
        ordered = Boolean.parseBoolean(options.text("--ordered", "false"));
        mixture = new LoadKind.Mixture(options);
        transactions = new LoadTransactions(mixture);
        journal = new Journal(options.text("--journal"));
        producer = producer();
        producer.setNamesrvAddr(options.text("--namesrv"));
        producer.setRetryTimesWhenSendFailed(options.number("--retries", 2));
        Polling.apply(options, producer);
    }

    private DefaultMQProducer producer() {
        String group = "producers-" + run;
        if (mixture.transactions == 0) {
            return new DefaultMQProducer(group);
        }
        TransactionMQProducer made = new TransactionMQProducer(group);
        made.setTransactionListener(transactions);
        return made;
    }

    boolean run() throws Exception {
        try {
            int queues = options.number("--queues", 4);
            if (queues > 0) {
                String cluster = options.text("--cluster", "");
                LoadTopic.make(options.text("--namesrv"), cluster, topic, queues);
            }
            producer.start();
            journal.write("begin");
            boolean told = produce();
            journal.end(told);
            producer.shutdown();
            return told;
        } finally {
            ending.over();
        }
    }

    private boolean produce() throws InterruptedException {
        List<Thread> senders = new ArrayList<>();
        for (int shard = 0; shard < threads; shard++) {
            int own = shard;
            senders.add(new Thread(() -> send(own), "sender-" + shard));
        }
        senders.forEach(Thread::start);
        boolean told = ending.await(options.number("--seconds"));
        stopped.countDown();
        for (Thread sender : senders) {
            sender.join();
        }
        journal.write("stopped");
        if (mixture.transactions > 0) {
            transactions.awaitAsked();
        }
        return told;
    }

    private void send(int shard) {
        long interval = TimeUnit.SECONDS.toNanos(threads) / options.number("--rate");
        long next = System.nanoTime() + shard * interval / threads;
        try {
            while (!stopped.await(next - System.nanoTime(), TimeUnit.NANOSECONDS)) {
                sendOne(shard);
                next = Math.max(next + interval, System.nanoTime());
            }
        } catch (InterruptedException error) {
            throw new IllegalStateException(error);
        }
    }

    private void sendOne(int shard) throws InterruptedException {
        LoadMessage message = new LoadMessage(run, sequence.getAndIncrement(), shard);
        LoadKind kind = mixture.of(message.sequence);
        Message content = message.of(topic);
        long due = mixture.mark(content, kind) * 1000L;
        due = due == 0 ? 0 : System.currentTimeMillis() + due;
        try {
            acknowledged(message, kind, due, send(content, kind, shard));
        } catch (InterruptedException error) {
            throw error;
        } catch (Exception error) {
            // Whatever the reason, it was not acknowledged: it may be stored or not.
            String text = String.valueOf(error.getMessage()).split("\n")[0];
            journal.write("fail", message.sequence, shard, kind(error), text);
        }
    }

    private void acknowledged(LoadMessage message, LoadKind kind, long due, SendResult result) {
        if (kind.isTransaction() && result.getSendStatus() != SendStatus.SEND_OK) {
            // The library rolls it back, whatever the load wanted; the broker may ask all the same.
            journal.write("fail", message.sequence, message.shard,
                "Transaction " + result.getSendStatus(), "rolled back by the library");
        } else if (kind == LoadKind.UNDONE) {
            journal.write("undone", message.sequence, message.shard);
        } else {
            MessageQueue queue = result.getMessageQueue();
            journal.write("ack", message.sequence, message.shard, result.getSendStatus(),
                result.getMsgId(), queue.getBrokerName(), queue.getQueueId(),
                result.getQueueOffset(), kind.word(), due);
        }
    }

    private SendResult send(Message content, LoadKind kind, int shard) throws Exception {
        if (kind.isTransaction()) {
            return producer.sendMessageInTransaction(content, null);
        }
        if (!ordered) {
            return producer.send(content);
        }
        return producer.send(
            content, (queues, own, key) -> queues.get((int) key % queues.size()), shard);
    }

    /** The class of what is behind it all, with the response code of a broker or of the client. */
    private static String kind(Throwable error) {
        Throwable last = error;
        while (last.getCause() != null) {
            last = last.getCause();
        }
        String name = last.getClass().getSimpleName();
        if (last instanceof MQBrokerException) {
            return name + " " + ((MQBrokerException) last).getResponseCode();
        }
        if (last instanceof MQClientException) {
            return name + " " + ((MQClientException) last).getResponseCode();
        }
        return name;
    }
}
