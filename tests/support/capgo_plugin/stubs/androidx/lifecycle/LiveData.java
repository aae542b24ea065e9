package androidx.lifecycle;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

public class LiveData<T> {
    public interface Observer<T> {
        void onChanged(T value);
    }

    private final List<Observer<? super T>> observers = new CopyOnWriteArrayList<>();

    public void observe(LifecycleOwner owner, Observer<? super T> observer) {
        observers.add(observer);
    }

    public void post(T value) {
        for (Observer<? super T> observer : observers) {
            observer.onChanged(value);
        }
    }
}
