package io.github.g00fy2.versioncompare;

/** As much of the comparison of versions as the plugin's files take. */
public class Version {
    private final String text;

    public Version(String text) {
        this.text = text;
    }

    public boolean isAtLeast(Version other) {
        return text.compareTo(other.text) >= 0;
    }

    public boolean isAtLeast(String other) {
        return text.compareTo(other) >= 0;
    }

    public boolean isEqual(String other) {
        return text.equals(other);
    }

    public boolean isLowerThan(Version other) {
        return text.compareTo(other.text) < 0;
    }

    public boolean isHigherThan(Version other) {
        return text.compareTo(other.text) > 0;
    }

    public String getOriginalString() {
        return text;
    }
}
