import org.apache.rocketmq.client.ClientConfig;

/**
 * How often a client looks for routes. What else it does every half minute follows: it tells the
 * brokers that it lives, and a consumer shares out the queues.
 */
final class Polling {
    private static final String REBALANCE = "rocketmq.client.rebalance.waitInterval";

    private Polling() {
    }

    /** Applies --poll, if it is given; before the client starts, and before any other is made. */
    static void apply(Options options, ClientConfig client) {
        int seconds = options.number("--poll", 0);
        if (seconds > 0) {
            client.setPollNameServerInterval(seconds * 1000);
            client.setHeartbeatBrokerInterval(seconds * 1000);
            System.setProperty(REBALANCE, Integer.toString(seconds * 1000));
        }
    }
}
