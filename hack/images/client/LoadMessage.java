import java.nio.charset.StandardCharsets;
import org.apache.rocketmq.common.message.Message;

/** A numbered message of one run: the number is unique, the shard is the thread that sent it. */
final class LoadMessage {
    final String run;
    final long sequence;
    final int shard;

    LoadMessage(String run, long sequence, int shard) {
        this.run = run;
        this.sequence = sequence;
        this.shard = shard;
    }

    String key() {
        return run + "-" + sequence;
    }

    Message of(String topic) {
        byte[] body = (run + " " + sequence + " " + shard).getBytes(StandardCharsets.US_ASCII);
        return new Message(topic, "", key(), body);
    }

    /** Returns what a message says it is; IllegalArgumentException when it is none of a load. */
    static LoadMessage in(Message message) {
        String[] words = new String(message.getBody(), StandardCharsets.US_ASCII).split(" ");
        if (words.length != 3) {
            throw new IllegalArgumentException("a body of " + words.length + " words");
        }
        LoadMessage read =
            new LoadMessage(words[0], Long.parseLong(words[1]), Integer.parseInt(words[2]));
        if (!read.key().equals(message.getKeys())) {
            throw new IllegalArgumentException(read.key() + " under the key " + message.getKeys());
        }
        return read;
    }
}
