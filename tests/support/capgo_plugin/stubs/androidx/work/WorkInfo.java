package androidx.work;

import java.util.Set;

public class WorkInfo {
    public enum State {
        ENQUEUED,
        RUNNING,
        SUCCEEDED,
        FAILED,
        CANCELLED;

        public boolean isFinished() {
            return this == SUCCEEDED || this == FAILED || this == CANCELLED;
        }
    }

    private final State state;
    private final Data output;
    private final Data progress;
    private final Set<String> tags;

    WorkInfo(State state, Data output, Data progress, Set<String> tags) {
        this.state = state;
        this.output = output;
        this.progress = progress;
        this.tags = tags;
    }

    public State getState() {
        return state;
    }

    public Data getOutputData() {
        return output;
    }

    public Data getProgress() {
        return progress;
    }

    public Set<String> getTags() {
        return tags;
    }
}
