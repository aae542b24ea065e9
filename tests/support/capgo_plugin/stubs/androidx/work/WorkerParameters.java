package androidx.work;

import java.util.function.Consumer;

public class WorkerParameters {
    final Data input;
    final Consumer<Data> progress;

    public WorkerParameters(Data input, Consumer<Data> progress) {
        this.input = input;
        this.progress = progress;
    }
}
