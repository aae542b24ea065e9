package android.app;

public class Activity extends android.content.Context implements androidx.lifecycle.LifecycleOwner {
    public void runOnUiThread(Runnable action) {
        action.run();
    }
}
