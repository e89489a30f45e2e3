import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * Sends a number of messages with unique keys, or receives them and counts each key once; or keeps
 * up a load and writes down what becomes of each message.
 */
public final class MessageClient {
    private static final String USAGE = String.join(System.lineSeparator(),
        "send    --namesrv A --topic T --count N [--group G] [--prefix P] [--timeout S]",
        "receive --namesrv A --topic T --group G --count N --timeout S [--verify-prefix P]",
        "produce --namesrv A --topic T --run R --journal FILE --rate PER-SECOND --seconds LIMIT",
        "        [--threads N] [--queues N, 0: the topic is there] [--cluster C] [--ordered true]",
        "        [--retries N]",
        "        [--delayed ONE-IN-N] [--delay-level L] [--timed ONE-IN-N] [--timer-seconds S]",
        "        [--transactions ONE-IN-N] [--poll S]",
        "consume --namesrv A --topic T --run R --journal FILE --group G --seconds LIMIT",
        "        [--ordered true] [--slow MS] [--from-last true] [--poll S]");

    private final Options options;

    private MessageClient(Options options) {
        this.options = options;
    }

    public static void main(String[] arguments) {
        int status;
        try {
            MessageClient client = new MessageClient(new Options(arguments));
            status = client.run(arguments[0]) ? 0 : 1;
        } catch (IllegalArgumentException error) {
            System.err.println(error.getMessage() + System.lineSeparator() + USAGE);
            status = 2;
        } catch (Exception error) {
            error.printStackTrace();
            status = 3;
        }
        // The client library leaves threads behind that would keep the process alive.
        System.out.flush();
        System.exit(status);
    }

    private boolean run(String command) throws Exception {
        switch (command) {
            case "send":
                return send();
            case "receive":
                return receive();
            case "produce":
                return new LoadProducer(options).run();
            case "consume":
                return new LoadConsumer(options).run();
            default:
                throw new IllegalArgumentException("no command " + command);
        }
    }

    private boolean send() throws MQClientException {
        int count = options.number("--count");
        String topic = options.text("--topic");
        String random = UUID.randomUUID().toString().substring(0, 8);
        String prefix = options.text("--prefix", "run-" + random);
        String group = options.text("--group", "message-client");
        DefaultMQProducer producer = new DefaultMQProducer(group);
        producer.setNamesrvAddr(options.text("--namesrv"));
        int timeout = options.number("--timeout", 10) * 1000;
        producer.setSendMsgTimeout(timeout);
        producer.setMqClientApiTimeout(timeout);
        producer.start();
        int failed = 0;
        for (int i = 0; i < count; i++) {
            failed += sendOne(producer, topic, prefix + "-" + i) ? 0 : 1;
        }
        producer.shutdown();
        System.out.printf("sent %d failed %d%n", count - failed, failed);
        return failed == 0;
    }

    private static boolean sendOne(DefaultMQProducer producer, String topic, String key) {
        byte[] body = ("body of " + key).getBytes(StandardCharsets.UTF_8);
        try {
            SendResult result = producer.send(new Message(topic, "", key, body));
            boolean stored = result.getSendStatus() == SendStatus.SEND_OK;
            String outcome = stored ? "OK" : result.getSendStatus().toString();
            System.out.printf("%s %s %s%n", result.getMsgId(), key, outcome);
            return stored;
        } catch (InterruptedException error) {
            throw new IllegalStateException(error);
        } catch (Exception error) {
            // Whatever the reason, this message was not acknowledged: that is what is counted.
            System.out.printf("- %s FAILED %s%n", key, String.valueOf(error.getMessage()).split("\n")[0]);
            return false;
        }
    }

    private boolean receive() throws MQClientException, InterruptedException {
        int count = options.number("--count");
        Received received = new Received(options.text("--verify-prefix", ""), count);
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(options.text("--group"));
        consumer.setNamesrvAddr(options.text("--namesrv"));
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(options.text("--topic"), "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            received.take(messages);
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        boolean all = received.await(options.number("--timeout"));
        // Shutting down writes the offsets back, so that the group's next run begins after them.
        consumer.shutdown();
        System.out.printf("received %d duplicates %d%n", received.distinct(), received.duplicates());
        return all;
    }

    /** The keys seen so far; the consumer's threads add to it at the same time. */
    private static final class Received {
        private final String prefix;
        private final CountDownLatch missing;
        private final Set<String> keys = ConcurrentHashMap.newKeySet();
        private final AtomicInteger duplicates = new AtomicInteger();

        Received(String prefix, int count) {
            this.prefix = prefix;
            this.missing = new CountDownLatch(count);
        }

        void take(List<MessageExt> messages) {
            for (MessageExt message : messages) {
                String key = String.valueOf(message.getKeys());
                if (!key.startsWith(prefix)) {
                    continue;
                }
                if (keys.add(key)) {
                    System.out.println(key);
                    missing.countDown();
                } else {
                    duplicates.incrementAndGet();
                }
            }
        }

        boolean await(int seconds) throws InterruptedException {
            return missing.await(seconds, TimeUnit.SECONDS);
        }

        int distinct() {
            return keys.size();
        }

        int duplicates() {
            return duplicates.get();
        }
    }
}
