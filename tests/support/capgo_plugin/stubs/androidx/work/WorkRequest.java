package androidx.work;

public class WorkRequest {
    public static final long MIN_BACKOFF_MILLIS = 10_000;
}
