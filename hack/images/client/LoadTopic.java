import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.common.MixAll;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.constant.PermName;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/**
 * The topic of a load, on every master, or on those of one RocketMQ cluster. A topic that the first message makes is often on one master
 * alone, and restarting the others then proves nothing.
 */
final class LoadTopic {
    private static final long CALL_MS = 30_000;
    private static final int ROUTE_S = 60;

    private LoadTopic() {
    }

    /** Makes the topic and waits until its route has every master. */
    static void make(String nameServers, String cluster, String topic, int queues)
        throws Exception {
        DefaultMQAdminExt admin = new DefaultMQAdminExt(CALL_MS);
        admin.setInstanceName("load-topic");
        admin.setNamesrvAddr(nameServers);
        admin.start();
        try {
            Set<String> masters = new HashSet<>();
            for (var broker : admin.examineBrokerClusterInfo().getBrokerAddrTable().values()) {
                String master = broker.getBrokerAddrs().get(MixAll.MASTER_ID);
                if (master != null && (cluster.isEmpty() || cluster.equals(broker.getCluster()))) {
                    int mode = PermName.PERM_READ | PermName.PERM_WRITE;
                    TopicConfig config = new TopicConfig(topic, queues, queues, mode);
                    admin.createAndUpdateTopicConfig(master, config);
                    masters.add(broker.getBrokerName());
                }
            }
            awaitRoute(admin, topic, masters);
        } finally {
            admin.shutdown();
        }
    }

    private static void awaitRoute(DefaultMQAdminExt admin, String topic, Set<String> masters)
        throws Exception {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(ROUTE_S);
        while (masters.isEmpty() || !routed(admin, topic).containsAll(masters)) {
            if (System.nanoTime() > deadline) {
                throw new IllegalStateException("no route to " + topic + " on all of " + masters);
            }
            TimeUnit.MILLISECONDS.sleep(200);
        }
    }

    private static Set<String> routed(DefaultMQAdminExt admin, String topic) throws Exception {
        Set<String> found = new HashSet<>();
        try {
            for (var queue : admin.examineTopicRouteInfo(topic).getQueueDatas()) {
                found.add(queue.getBrokerName());
            }
        } catch (MQClientException error) {
            // No route yet is an error too.
        }
        return found;
    }
}
