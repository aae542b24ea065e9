package ee.forgr.capacitor_updater;

import android.app.Activity;
import android.content.SharedPreferences;
import java.io.BufferedReader;
import java.io.File;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.HashMap;
import java.util.Iterator;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.json.JSONArray;
import org.json.JSONObject;

/**
 * Devices that run the plugin's own code: a line of JSON in says what one of them is to do, a line of JSON out what came of it.
 *
 * Only what the plugin's Capacitor class decides on an answer is repeated here, in `offered`; a test holds it against that file.
 */
public class Drive {
    private static final long ANSWER_S = 60;
    private static final Map<String, Drive> DEVICES = new HashMap<>();
    private static final Logger LOGGER = new Logger("capgo");

    private final CapgoUpdater updater;
    private final SharedPreferences.Editor editor;

    private Drive(JSONObject asked) throws Exception {
        updater = new CapgoUpdater(LOGGER) {
            @Override
            void notifyListeners(String name, Map<String, Object> event) {}
        };
        File root = new File(asked.getString("device"));
        updater.activity = new Activity();
        updater.activity.cache = folder(root, "cache");
        updater.activity.files = folder(root, "files");
        updater.documentsDir = folder(root, "documents");
        updater.noBackupDir = folder(root, "no-backup");
        updater.prefs = new SharedPreferences();
        editor = updater.editor = updater.prefs.edit();
        updater.appId = asked.getString("app");
        updater.deviceID = asked.getString("id");
        updater.pluginVersion = asked.getString("plugin");
        updater.versionBuild = asked.getString("native");
        updater.versionCode = "17";
        updater.versionOs = "14";
        updater.defaultChannel = asked.getString("channel");
        updater.statsUrl = asked.getString("stats");
        updater.channelUrl = asked.getString("channels");
        updater.CAP_SERVER_PATH = "serverBasePath";
        updater.setPublicKey(asked.getString("key"));
    }

    private static File folder(File root, String name) {
        File folder = new File(root, name);
        folder.mkdirs();
        return folder;
    }

    private interface Asking {
        void ask(Callback callback) throws Exception;
    }

    private static JSONObject answer(Asking asking) throws Exception {
        CompletableFuture<Map<String, Object>> answered = new CompletableFuture<>();
        asking.ask(answered::complete);
        JSONObject found = new JSONObject();
        for (Map.Entry<String, Object> member : answered.get(ANSWER_S, TimeUnit.SECONDS).entrySet()) {
            found.put(member.getKey(), JSONObject.wrap(member.getValue()));
        }
        return found;
    }

    /** CapacitorUpdaterPlugin.shouldNotifyBreakingEvents(). */
    private static boolean tellsOfTheStore(JSONObject answer) {
        String error = answer.optString("error", "");
        String message = answer.optString("message", "");
        return (
            answer.optBoolean("breaking", false) ||
            "disable_auto_update_to_major".equals(error) ||
            "store_update_required".equals(message)
        );
    }

    /** What CapacitorUpdaterPlugin.backgroundDownload() does with an answer. */
    private JSONObject offered(JSONObject answer) throws Exception {
        JSONObject done = new JSONObject();
        if (answer.has("error") || answer.has("kind")) {
            if (tellsOfTheStore(answer)) {
                done.put("breaking", answer.optString("version"));
            }
            return done.put("refused", answer.optString("error")).put("kind", answer.optString("kind"));
        }
        if ("builtin".equals(answer.getString("version"))) {
            updater.setNextBundle(BundleInfo.ID_BUILTIN);
            return done.put("builtin", true);
        }
        String url = answer.getString("url");
        String version = answer.getString("version");
        String sessionKey = answer.optString("sessionKey", "");
        String checksum = answer.optString("checksum", "");
        try {
            BundleInfo bundle = answer.has("manifest")
                ? updater.downloadManifest(url, version, sessionKey, checksum, answer.getJSONArray("manifest"))
                : updater.download(url, version, sessionKey, checksum);
            updater.setNextBundle(bundle.getId());
            done.put("folder", CapgoUpdater.resolveBundleDirectory(updater.documentsDir, bundle.getId()).getPath());
            done.put("status", bundle.getStatus().toString());
        } catch (java.io.IOException error) {
            done.put("failed", String.valueOf(error.getMessage()));
        }
        return done;
    }

    /** The worker goes on where an interrupted download of `version` stopped, after the first bytes of it. */
    private JSONObject resumed(JSONObject asked) throws Exception {
        JSONObject answer = asked.getJSONObject("answer");
        File begun = new File(updater.documentsDir, "temp_begun.tmp");
        Files.copy(new File(asked.getString("begun")).toPath(), begun.toPath());
        Files.writeString(new File(updater.documentsDir, "update_begun.dat").toPath(), answer.getString("version"));
        androidx.work.Data input = new androidx.work.Data.Builder()
            .putString(DownloadService.URL, answer.getString("url"))
            .putString(DownloadService.ID, "begun")
            .putString(DownloadService.DOCDIR, updater.documentsDir.getAbsolutePath())
            .putString(DownloadService.FILEDEST, "downloaded")
            .putString(DownloadService.VERSION, answer.getString("version"))
            .putString(DownloadService.SESSIONKEY, answer.getString("sessionKey"))
            .putString(DownloadService.CHECKSUM, answer.getString("checksum"))
            .putString(DownloadService.PUBLIC_KEY, updater.publicKey)
            .putBoolean(DownloadService.IS_MANIFEST, false)
            .build();
        androidx.work.WorkerParameters parameters = new androidx.work.WorkerParameters(input, progress -> {});
        String kind = new DownloadService(updater.activity, parameters).doWork().kind;
        return new JSONObject().put("kind", kind).put("file", new File(updater.documentsDir, "downloaded").getPath());
    }

    private JSONObject run(JSONObject asked) throws Exception {
        String channel = asked.optString("channel");
        switch (asked.getString("do")) {
            case "open":
                return new JSONObject();
            case "latest":
                return answer(callback -> updater.getLatest(asked.getString("url"), null, callback));
            case "offered":
                return offered(asked.getJSONObject("answer"));
            case "start":
                // As installNext() at the next start of the app, and the app's word that it runs.
                BundleInfo next = updater.getNextBundle();
                if (next != null && !next.isErrorStatus() && updater.set(next)) {
                    updater.setNextBundle(null);
                }
                updater.setSuccess(updater.getCurrentBundle(), true);
                BundleInfo current = updater.getCurrentBundle();
                return new JSONObject().put("version", current.isBuiltin() ? "builtin" : current.getVersionName());
            case "resumed":
                return resumed(asked);
            case "missing":
                JSONObject of = asked.getJSONObject("answer");
                return updater.missingBundleFilesResult(of.getJSONArray("manifest"), of.getString("sessionKey"));
            case "size":
                JSONArray manifest = asked.getJSONObject("answer").getJSONArray("manifest");
                return updater.getBundleDownloadSize(asked.getString("url"), "", manifest);
            case "channels":
                return answer(updater::listChannels);
            case "channel":
                return answer(callback -> updater.getChannel(callback, editor, "channel"));
            case "set channel":
                return answer(callback -> updater.setChannel(channel, editor, "channel", true, "", callback));
            case "default channel":
                return new JSONObject().put("channel", updater.defaultChannel);
            case "event":
                CompletableFuture<Boolean> sent = new CompletableFuture<>();
                Map<String, String> details = new HashMap<>();
                JSONObject given = asked.getJSONObject("details");
                for (Iterator<String> names = given.keys(); names.hasNext(); ) {
                    String name = names.next();
                    details.put(name, given.getString(name));
                }
                String action = asked.getString("action");
                updater.sendStats(action, asked.getString("version"), "", details, () -> sent.complete(true));
                sent.completeOnTimeout(false, asked.getLong("wait_s"), TimeUnit.SECONDS);
                return new JSONObject().put("sent", sent.get()).put("pending", updater.pendingStatsCount());
            case "pending":
                return new JSONObject().put("pending", updater.pendingStatsCount());
            default:
                throw new IllegalArgumentException(asked.getString("do"));
        }
    }

    public static void main(String[] arguments) throws Exception {
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        System.setOut(System.err);
        LOGGER.level = Logger.LogLevel.debug;
        CryptoCipher.setLogger(LOGGER);
        DownloadService.setLogger(LOGGER);
        DownloadWorkerManager.setLogger(LOGGER);
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            JSONObject asked = new JSONObject(line);
            if (asked.getString("do").equals("open")) {
                DEVICES.put(asked.getString("device"), new Drive(asked));
            }
            JSONObject done;
            try {
                done = DEVICES.get(asked.getString("device")).run(asked);
            } catch (Exception error) {
                error.printStackTrace();
                done = new JSONObject().put("exception", error.toString());
            }
            out.println(done);
        }
        System.exit(0);
    }
}
