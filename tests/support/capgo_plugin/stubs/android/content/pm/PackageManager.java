package android.content.pm;

public class PackageManager {
    public static class NameNotFoundException extends Exception {}

    public static class PackageInfoFlags {
        public static PackageInfoFlags of(long value) {
            return null;
        }
    }

    public InstallSourceInfo getInstallSourceInfo(String name) {
        return new InstallSourceInfo();
    }

    public String getInstallerPackageName(String name) {
        return "com.android.vending";
    }

    public PackageInfo getPackageInfo(String name, int flags) throws NameNotFoundException {
        return new PackageInfo();
    }

    public PackageInfo getPackageInfo(String name, PackageInfoFlags flags) throws NameNotFoundException {
        return new PackageInfo();
    }
}
