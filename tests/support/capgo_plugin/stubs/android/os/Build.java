package android.os;

public class Build {
    public static final String BRAND = "google";
    public static final String DEVICE = "oriole";
    public static final String FINGERPRINT = "google/oriole/oriole:14";
    public static final String HARDWARE = "oriole";
    public static final String MANUFACTURER = "Google";
    public static final String MODEL = "Pixel 6";
    public static final String PRODUCT = "oriole";

    public static class VERSION {
        public static final int SDK_INT = 34;
    }

    public static class VERSION_CODES {
        public static final int N = 24;
        public static final int R = 30;
        public static final int S = 31;
        public static final int TIRAMISU = 33;
    }
}
