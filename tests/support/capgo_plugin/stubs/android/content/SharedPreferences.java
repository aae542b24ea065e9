package android.content;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** Preferences that last as long as the process. */
public class SharedPreferences {
    private final Map<String, Object> values = new ConcurrentHashMap<>();

    @SuppressWarnings("unchecked")
    private <T> T get(String name, T otherwise) {
        return (T) values.getOrDefault(name, otherwise == null ? Missing.VALUE : otherwise);
    }

    private enum Missing {
        VALUE
    }

    public String getString(String name, String otherwise) {
        return values.containsKey(name) ? (String) values.get(name) : otherwise;
    }

    public long getLong(String name, long otherwise) {
        return this.<Long>get(name, otherwise);
    }

    public int getInt(String name, int otherwise) {
        return this.<Integer>get(name, otherwise);
    }

    public boolean getBoolean(String name, boolean otherwise) {
        return this.<Boolean>get(name, otherwise);
    }

    public boolean contains(String name) {
        return values.containsKey(name);
    }

    public Map<String, ?> getAll() {
        return values;
    }

    public Editor edit() {
        return new Editor();
    }

    public class Editor {
        private Editor put(String name, Object value) {
            if (value == null) {
                values.remove(name);
            } else {
                values.put(name, value);
            }
            return this;
        }

        public Editor putString(String name, String value) {
            return put(name, value);
        }

        public Editor putLong(String name, long value) {
            return put(name, value);
        }

        public Editor putInt(String name, int value) {
            return put(name, value);
        }

        public Editor putBoolean(String name, boolean value) {
            return put(name, value);
        }

        public Editor remove(String name) {
            return put(name, null);
        }

        public boolean commit() {
            return true;
        }

        public void apply() {}
    }
}
