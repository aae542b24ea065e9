package androidx.work;

import java.util.concurrent.TimeUnit;

public class PeriodicWorkRequest extends WorkRequest {
    public static class Builder {
        public Builder(Class<? extends ListenableWorker> worker, long interval, TimeUnit unit) {}

        public Builder setConstraints(Constraints constraints) {
            return this;
        }

        public Builder setInputData(Data input) {
            return this;
        }

        public Builder addTag(String tag) {
            return this;
        }

        public Builder setInitialDelay(long delay, TimeUnit unit) {
            return this;
        }

        public PeriodicWorkRequest build() {
            return new PeriodicWorkRequest();
        }
    }
}
