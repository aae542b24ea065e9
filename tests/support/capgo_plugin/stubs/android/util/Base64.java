package android.util;

import java.nio.charset.StandardCharsets;

public class Base64 {
    public static final int DEFAULT = 0;
    public static final int NO_WRAP = 2;

    /** As Android's: spaces and ends of lines are passed over, any other foreign byte is an error. */
    public static byte[] decode(String text, int flags) {
        String packed = text.replaceAll("[\\r\\n\\t ]", "");
        if (!packed.matches("[A-Za-z0-9+/]*=*")) {
            throw new IllegalArgumentException("bad base-64");
        }
        return java.util.Base64.getDecoder().decode(packed);
    }

    public static byte[] decode(byte[] text, int flags) {
        return decode(new String(text, StandardCharsets.ISO_8859_1), flags);
    }

    public static String encodeToString(byte[] data, int flags) {
        return java.util.Base64.getEncoder().encodeToString(data);
    }
}
