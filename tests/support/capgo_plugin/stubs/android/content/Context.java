package android.content;

import android.content.pm.ApplicationInfo;
import android.content.pm.PackageManager;
import android.content.res.AssetManager;
import java.io.File;

/** An app's folders. */
public class Context {
    public File cache;
    public File files;

    public File getCacheDir() {
        return cache;
    }

    public File getFilesDir() {
        return files;
    }

    public AssetManager getAssets() {
        return new AssetManager();
    }

    public Context getApplicationContext() {
        return this;
    }

    public PackageManager getPackageManager() {
        return new PackageManager();
    }

    public String getPackageName() {
        return "com.example.game";
    }

    public ApplicationInfo getApplicationInfo() {
        return new ApplicationInfo();
    }
}
