package okhttp3;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import okio.BufferedSink;

/** The class of okhttp 3.13 with the order of arguments that okhttp 4 has, which the plugin is written for. */
public abstract class RequestBody {
    public abstract MediaType contentType();

    public abstract void writeTo(BufferedSink sink) throws IOException;

    public long contentLength() throws IOException {
        return -1;
    }

    public static RequestBody create(String text, MediaType type) {
        return create(type, text.getBytes(StandardCharsets.UTF_8));
    }

    public static RequestBody create(MediaType type, byte[] data) {
        return create(type, data, 0, data.length);
    }

    public static RequestBody create(MediaType type, byte[] data, int offset, int size) {
        return new RequestBody() {
            @Override
            public MediaType contentType() {
                return type;
            }

            @Override
            public long contentLength() {
                return size;
            }

            @Override
            public void writeTo(BufferedSink sink) throws IOException {
                sink.write(data, offset, size);
            }
        };
    }
}
