package android.content.res;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;

/** An app without assets of its own. */
public class AssetManager {
    public InputStream open(String path) throws IOException {
        throw new FileNotFoundException(path);
    }
}
