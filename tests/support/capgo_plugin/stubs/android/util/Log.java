package android.util;

/** The log, on standard error, for whoever looks into a failed test. */
public class Log {
    public static final int INFO = 4;

    private static int write(String level, String message, Throwable cause) {
        System.err.println(level + " " + message + (cause == null ? "" : ": " + cause));
        return 0;
    }

    public static int e(String tag, String message) {
        return write("E", message, null);
    }

    public static int e(String tag, String message, Throwable cause) {
        return write("E", message, cause);
    }

    public static int w(String tag, String message) {
        return write("W", message, null);
    }

    public static int w(String tag, String message, Throwable cause) {
        return write("W", message, cause);
    }

    public static int i(String tag, String message) {
        return write("I", message, null);
    }

    public static int d(String tag, String message) {
        return write("D", message, null);
    }

    public static int v(String tag, String message) {
        return write("V", message, null);
    }
}
