package org.brotli.dec;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;

/** Brotli's own decoder (libbrotlidec) by the name of its Java form, which no package of the tests' system has. */
public class BrotliInputStream extends InputStream {
    static {
        System.load(System.getProperty("capseal.brotli"));
    }

    private final InputStream source;
    private ByteArrayInputStream plain;

    public BrotliInputStream(InputStream source) {
        this.source = source;
    }

    /** Return what a whole stream decompresses to; null where it is none. */
    private static native byte[] decode(byte[] data);

    private InputStream plain() throws IOException {
        if (plain == null) {
            byte[] data = decode(source.readAllBytes());
            if (data == null) {
                throw new IOException("Corrupted brotli bit stream");
            }
            plain = new ByteArrayInputStream(data);
        }
        return plain;
    }

    @Override
    public int read() throws IOException {
        return plain().read();
    }

    @Override
    public int read(byte[] buffer, int offset, int size) throws IOException {
        return plain().read(buffer, offset, size);
    }

    @Override
    public void close() throws IOException {
        source.close();
    }
}
