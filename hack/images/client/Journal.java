import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * What a load has seen, one JSON array a line: the kind of event, milliseconds since the epoch,
 * then what the kind has. ASCII only, so that a reader may go on from a number of bytes.
 *
 * <p>An event is with the kernel when its call returns: it outlives the process. The last line,
 * "end", tells how many lines are before it. When a line cannot be written the process halts, and
 * that line is missing: evidence with a hole must not look complete.
 */
final class Journal {
    private final BufferedWriter writer;
    private long lines;

    Journal(String path) throws IOException {
        writer = Files.newBufferedWriter(
            Path.of(path), StandardCharsets.US_ASCII, StandardOpenOption.CREATE_NEW);
    }

    synchronized void write(String kind, Object... fields) {
        StringBuilder line = new StringBuilder("[");
        quote(line, kind);
        line.append(',').append(System.currentTimeMillis());
        for (Object field : fields) {
            line.append(',');
            if (field instanceof Number || field instanceof Boolean) {
                line.append(field);
            } else {
                quote(line, String.valueOf(field));
            }
        }
        try {
            writer.write(line.append("]\n").toString());
            writer.flush();
        } catch (IOException error) {
            System.err.println("the journal cannot be written: " + error);
            Runtime.getRuntime().halt(3);
        }
        lines++;
    }

    /** Writes the last line; `told` says whether somebody asked for the end. */
    synchronized void end(boolean told) {
        write("end", told, lines);
    }

    private static void quote(StringBuilder line, String text) {
        line.append('"');
        for (char one : text.toCharArray()) {
            if (one < ' ' || one > '~' || one == '"' || one == '\\') {
                line.append(String.format("\\u%04x", (int) one));
            } else {
                line.append(one);
            }
        }
        line.append('"');
    }
}
