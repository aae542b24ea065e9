package androidx.work;

import android.content.Context;
import androidx.lifecycle.LiveData;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Future;

/** Runs each piece of work at once, in a thread of its own, and anew where it asks for that. */
public class WorkManager {
    private static final int TRIES = 3;
    private static final WorkManager INSTANCE = new WorkManager();
    private static Context context;
    private final Map<String, LiveData<List<WorkInfo>>> observed = new ConcurrentHashMap<>();

    public static void initialize(Context initial, Configuration configuration) {
        context = initial;
    }

    public static WorkManager getInstance(Context current) {
        context = current;
        return INSTANCE;
    }

    public Future<List<WorkInfo>> getWorkInfosByTag(String tag) {
        return CompletableFuture.completedFuture(new ArrayList<>());
    }

    public LiveData<List<WorkInfo>> getWorkInfosByTagLiveData(String tag) {
        return observed.computeIfAbsent(tag, name -> new LiveData<>());
    }

    public void cancelAllWorkByTag(String tag) {}

    public void cancelUniqueWork(String name) {}

    public void enqueueUniqueWork(String name, ExistingWorkPolicy policy, OneTimeWorkRequest request) {}

    public void enqueueUniquePeriodicWork(String name, ExistingPeriodicWorkPolicy policy, PeriodicWorkRequest request) {}

    public Continuation beginUniqueWork(String name, ExistingWorkPolicy policy, OneTimeWorkRequest request) {
        return new Continuation(request);
    }

    private void tell(OneTimeWorkRequest request, WorkInfo.State state, Data output, Data progress) {
        WorkInfo info = new WorkInfo(state, output, progress, request.tags);
        for (String tag : request.tags) {
            LiveData<List<WorkInfo>> found = observed.get(tag);
            if (found != null) {
                found.post(List.of(info));
            }
        }
    }

    private void work(OneTimeWorkRequest request) {
        WorkerParameters parameters = new WorkerParameters(request.input, progress ->
            tell(request, WorkInfo.State.RUNNING, Data.EMPTY, progress)
        );
        try {
            ListenableWorker.Result result = null;
            for (int tried = 0; tried < TRIES; tried++) {
                Worker worker = (Worker) request.worker
                    .getConstructor(Context.class, WorkerParameters.class)
                    .newInstance(context, parameters);
                result = worker.doWork();
                if (!result.kind.equals("retry")) {
                    break;
                }
            }
            boolean done = result.kind.equals("success");
            tell(request, done ? WorkInfo.State.SUCCEEDED : WorkInfo.State.FAILED, result.data, Data.EMPTY);
        } catch (ReflectiveOperationException error) {
            throw new IllegalStateException(error);
        }
    }

    public class Continuation {
        private final OneTimeWorkRequest request;

        private Continuation(OneTimeWorkRequest request) {
            this.request = request;
        }

        public void enqueue() {
            new Thread(() -> work(request)).start();
        }
    }
}
