package android.content.pm;

public class PackageInfo {
    public String packageName = "com.example.game";
    public String versionName = "1.0.0";
}
