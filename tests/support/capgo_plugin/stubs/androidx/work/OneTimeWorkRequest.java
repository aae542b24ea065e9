package androidx.work;

import java.util.LinkedHashSet;
import java.util.Set;
import java.util.concurrent.TimeUnit;

public class OneTimeWorkRequest extends WorkRequest {
    public final Class<? extends ListenableWorker> worker;
    public final Set<String> tags = new LinkedHashSet<>();
    public Data input;

    private OneTimeWorkRequest(Class<? extends ListenableWorker> worker) {
        this.worker = worker;
    }

    public static class Builder {
        private final OneTimeWorkRequest request;

        public Builder(Class<? extends ListenableWorker> worker) {
            request = new OneTimeWorkRequest(worker);
        }

        public Builder setInputData(Data input) {
            request.input = input;
            return this;
        }

        public Builder addTag(String tag) {
            request.tags.add(tag);
            return this;
        }

        public Builder setConstraints(Constraints constraints) {
            return this;
        }

        public Builder setExpedited(OutOfQuotaPolicy policy) {
            return this;
        }

        public Builder setBackoffCriteria(BackoffPolicy policy, long delay, TimeUnit unit) {
            return this;
        }

        public Builder setInitialDelay(long delay, TimeUnit unit) {
            return this;
        }

        public OneTimeWorkRequest build() {
            return request;
        }
    }
}
