package androidx.work;

import android.content.Context;

public abstract class ListenableWorker {
    private final Context context;
    private final WorkerParameters parameters;

    public ListenableWorker(Context context, WorkerParameters parameters) {
        this.context = context;
        this.parameters = parameters;
    }

    public Context getApplicationContext() {
        return context;
    }

    public Data getInputData() {
        return parameters.input;
    }

    public boolean isStopped() {
        return false;
    }

    public Object setProgressAsync(Data progress) {
        parameters.progress.accept(progress);
        return null;
    }

    public static class Result {
        public final String kind;
        public final Data data;

        private Result(String kind, Data data) {
            this.kind = kind;
            this.data = data;
        }

        public static Result success(Data data) {
            return new Result("success", data);
        }

        public static Result failure(Data data) {
            return new Result("failure", data);
        }

        public static Result retry() {
            return new Result("retry", Data.EMPTY);
        }
    }
}
