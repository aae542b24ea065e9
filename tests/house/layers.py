"""The table of the house: which room may use which, and who may reach for what lies outside of his arguments.

`PYTHONPATH=tests python -m house.draw` draws it into docs/architecture.md. A room is a folder of `engine/capseal`,
or one of the files beside them; the order is that of the floors, from the ground up. A permission that nobody uses
is a mistake, as is an import without one.
"""

from dataclasses import dataclass, field

from house import effects


@dataclass(frozen=True, slots=True)
class Room:
    """why: its one reason to exist; uses: room -> what for; inner: the same for the rooms in it."""

    why: str
    uses: dict[str, str] = field(default_factory=dict)
    inner: dict[str, "Room"] = field(default_factory=dict)


# Files that every room may use: they name errors and sizes, and use nothing themselves.
GROUND = {
    "errors": "the tree of errors",
    "constants": "the format's sizes and caps, with units",
    "_version": "the version, alone, so that a build can read it",
}

ROOMS = {
    "native": Room("the compiled module: block digests and file hints, each with a fallback"),
    "format": Room(
        "the format as values and bytes: no I/O, no clock, no keys",
        uses={"native": "digests of blocks"},
    ),
    "io": Room(
        "where bytes come from and where they go",
        uses={"native": "hints to the file system, digests of mapped files"},
    ),
    "archive": Room(
        "zips: which are allowed, how they are read strictly, how a folder becomes one",
        uses={"io": "files to be sealed", "native": "many small files in one call"},
    ),
    "crypto": Room(
        "keys, and the cipher of segments",
        uses={"format": "where a segment lies, which its nonce says", "io": "to save keys"},
    ),
    "trust": Room(
        "who may vouch for what, and the making of signatures",
        uses={"crypto": "keys", "format": "what is signed", "io": "to save stores"},
    ),
    "bundle": Room(
        "the verbs: seal, verify, unseal, reseal, split, read; and the pipeline under them",
        uses={
            "archive": "folders, and the check of what is sealed",
            "crypto": "session keys and ciphers",
            "format": "statements, seals and indexes",
            "io": "sources and sinks",
            "native": "how many processors there are",
            "trust": "whose signature counts",
        },
    ),
    "delta": Room(
        "recipes: what a device that has one version downloads to rebuild the next",
        uses={
            "archive": "what stands in a zip of capseal's own, and what one unpacks to",
            "io": "recipes and contents as sources, what is rebuilt as a sink",
            "native": "where the new content stands in the old, and how many processors there are",
        },
    ),
    "recipes": Room(
        "recipes of sealed bundles: made and sealed as companions, and opened to rebuild an encrypted payload",
        uses={
            "bundle": "companions, and what is sealed",
            "crypto": "session keys, and the cipher of rebuilt segments",
            "delta": "what a recipe says",
            "format": "what the statement says of recipes, and where a segment lies",
            "io": "bases and recipes as sources",
            "native": "how many processors there are",
            "trust": "whose bases count",
        },
    ),
    "embedding": Room(
        "blocks for servers of one's own",
        uses={
            "bundle": "to verify as bytes arrive",
            "format": "the signed index",
            "http": "ranges, limits, and how what is refused is told",
            "io": "to replace a stored bundle by a newer one",
            "trust": "whose signature counts",
        },
    ),
    "capgo": Room(
        "Capgo's own wire format; all foreign naming stops here",
        uses={
            "archive": "folders, and the check of what is encrypted",
            "bundle": "to convert from and to sealed bundles",
            "crypto": "keys of the sealed side",
            "format": "what a statement says of a file for Capgo",
            "http": "where a part of an attachment is",
            "io": "sources and sinks",
            "native": "how many processors there are",
            "trust": "whose signature counts",
        },
    ),
    "http": Room(
        "what server and client share, written once",
        uses={"format": "names, digests and strict JSON"},
    ),
    "client": Room(
        "the other end of a capseal server: publish, fetch, releases as sources",
        uses={
            "bundle": "to verify what arrives, and to report progress",
            "format": "seals and indexes",
            "http": "what both ends say",
            "io": "sources to publish, and what is fetched",
            "trust": "whose signature counts",
        },
    ),
    "device": Room(
        "what runs on the device: install, activate, confirm, roll back",
        uses={
            "archive": "the check of what is unpacked",
            "bundle": "to verify and decrypt what is installed",
            "client": "bundles by their address",
            "crypto": "the device's identity",
            "delta": "what is installed as the base of a recipe",
            "format": "strict JSON for its own records",
            "io": "sources, and durable writing",
            "native": "many small files in one call",
            "recipes": "payloads that are rebuilt from what is installed",
            "trust": "whose signature counts",
        },
    ),
    "server": Room(
        "the server that can neither read nor forge",
        uses={
            "bundle": "to verify what is published",
            "capgo": "the name of its extension, at the door",
            "embedding": "to verify as bytes arrive, and again as they are served",
            "format": "statements and indexes",
            "http": "what both ends say",
            "io": "a folder as storage: syncs and its lock",
            "native": "what of a file is in memory, and can be sent at once",
            "trust": "whose releases are taken",
        },
        inner={
            "storage": Room("objects by name, and what their names and contents mean"),
            "catalogue": Room("what is published, and what is on its way in", uses={"storage": "to keep it"}),
            "routes": Room(
                "what each request does",
                uses={"catalogue": "to look up and to publish", "storage": "to stream what is stored"},
            ),
        },
    ),
    "fleet": Room(
        "many workers, one result: bundles sealed, verified, opened and rewrapped by threads or a cluster",
        uses={
            "archive": "the check of what is sealed",
            "bundle": "the plan of a seal, and its verdict",
            "crypto": "the payload's key and cipher",
            "format": "where segments lie, and their index",
            "http": "what releases are of",
            "io": "a file under way to its name",
            "native": "how many processors there are",
            "server": "what stands in a store",
            "trust": "whose signature counts",
        },
    ),
    "development": Room(
        "a folder served as a release, sealed again at every change",
        uses={
            "archive": "the folder as one archive",
            "bundle": "to plan the seal",
            "crypto": "the segment cipher, at any place of the payload",
            "embedding": "to verify what is made again before it is served",
            "format": "seals and trees",
            "http": "how a release is described",
            "server": "to serve it",
            "trust": "the development role",
        },
    ),
    "project": Room(
        "a project on a developer's machine: configuration, keys, releases, log",
        uses={
            "archive": "the folder to release",
            "bundle": "to seal a release",
            "capgo": "what a release has for Capgo's plugin",
            "client": "to publish it",
            "crypto": "to tell private keys from public ones",
            "format": "names, seals, and the log's lines",
            "io": "sinks",
            "recipes": "recipes from earlier releases",
            "trust": "signers, stores and certificates",
        },
    ),
    "capseal": Room(
        "the front door: every public name, looked up when it is first used",
        uses={
            "bundle": "names it offers",
            "crypto": "names it offers",
            "device": "names it offers",
            "format": "names it offers",
            "io": "names it offers",
            "trust": "names it offers",
        },
    ),
    "cli": Room(
        "the command line: arguments, progress, messages, exit codes; the library does the work",
        uses={
            "archive": "folders, and what of them does not ship",
            "bundle": "what a verdict holds",
            "capgo": "the commands for Capgo",
            "capseal": "the verbs by their public names",
            "client": "publish, fetch, withdraw",
            "crypto": "to make keys",
            "delta": "the delta commands",
            "development": "capseal dev",
            "device": "the device commands",
            "fleet": "the fleet commands",
            "format": "names and JSON",
            "io": "sources and sinks of commands that stream",
            "native": "which kernels there are, and whether recipes can be made",
            "project": "the configuration that options default to",
            "recipes": "seal --base",
            "server": "capseal serve",
            "trust": "stores, signers, certificates",
        },
        inner={
            "framework": Room("what every command uses: arguments, parsing, exit codes, messages, progress"),
            "demo": Room("capseal demo: the main job, acted out"),
            "commands": Room(
                "the commands, one topic a file",
                uses={"demo": "its steps", "framework": "to be a command"},
            ),
        },
    ),
    "__main__": Room("python -m capseal", uses={"cli": "to run it"}),
}

MAX_FLOORS = 12
MAX_ROOT_FILES = 5

# Folders and files that may do each thing, with the reason. What is nowhere here, nobody may do.
REACHES = {
    effects.CLOCK: {
        "bundle/reading_order.py": "certificates are checked as of now unless Expect says another time",
        "bundle/seal.py": "created is now unless it is given",
        "capgo/_counts.py": "in which hour events came: a clock by default, an argument otherwise",
        "cli/": "progress and the demo show speeds",
        "development/": "a change is sealed as of now",
        "device/_disk.py": "the time-out of the lock",
        "device/_heads.py": "a clock by default, an argument otherwise",
        "device/_store.py": "a clock by default, an argument otherwise",
        "native/hashing.py": "measures kernels by a clock that is an argument",
        "project/release.py": "a release is of now",
        "embedding/_uploads.py": "speed of an upload",
        "fleet/_jobs.py": "a clock by default, an argument otherwise",
        "fleet/_scrub_work.py": "certificates are checked as of now",
        "fleet/_scrubbing.py": "how old things are",
        "server/_observed.py": "how long a request took",
        "server/catalogue/_channels.py": "age of pointers",
        "server/catalogue/_heads.py": "a head must not have expired, nor come from the future",
        "server/catalogue/resealing.py": "how long putting seals takes",
        "server/catalogue/catalogue.py": "how long publishing takes, and when a release came",
        "server/_readiness.py": "how old an answer is",
        "server/_refusals.py": "at most one line each few seconds",
        "server/_reloading.py": "whether a certificate is valid now",
        "server/storage/pace.py": "how long a call of the storage takes",
        "client/_remote.py": "how long a small document has taken",
        "server/_slow_clients.py": "speed of a client",
        "server/_workers.py": "how long a worker lived",
        "server/storage/_folder.py": "how long a lock is waited for",
        "server/storage/objects.py": "how long ago a store was seen to be there",
        "trust/certificates.py": "a certificate starts now unless it is given",
    },
    effects.ENVIRONMENT: {
        "capgo/_single_files.py": "the target's folder",
        "cli/": "arguments, the terminal, the working folder",
        "client/_environment.py": "proxies and certificates, as for every program",
        "fleet/": "the same path for every worker",
        "device/_disk.py": "the store's folder stays the same when the working folder changes",
        "io/drafts.py": "whose files are ours",
        "io/durable.py": "a new folder's place stays the same when the working folder changes",
        "io/resumable.py": "whose files are ours",
        "native/__init__.py": "how many processors there are",
        "archive/folder_zip.py": "the name of a folder given as `.`",
        "project/": "the working folder, from which a project is looked for",
        "server/storage/objects.py": "the storage's folder as an address",
    },
    effects.RANDOMNESS: {
        "bundle/plan.py": "entropy by default, an argument otherwise",
        "bundle/seal.py": "entropy by default, an argument otherwise",
        "capgo/_keys.py": "makes keys",
        "capgo/_cbc.py": "entropy by default, an argument otherwise",
        "capgo/_wire.py": "entropy by default, an argument otherwise",
        "cli/demo/": "a bundle that does not compress",
        "fleet/_sealing.py": "entropy by default, an argument otherwise",
        "crypto/keys.py": "makes keys",
        "cli/commands/head_sending.py": "salts of candidates",
        "cli/commands/heads.py": "salts of candidates",
        "device/_disk.py": "unforeseeable names",
        "device/_heads.py": "the 32 bytes by which a device knows its share",
        "io/durable.py": "unforeseeable names",
        "native/hashing.py": "data to measure with",
        "server/_request_ids.py": "ids of requests that bring none",
        "server/_app.py": "pauses that differ between servers",
        "server/catalogue/_channels.py": "pauses that differ between servers",
        "server/catalogue/_lease.py": "whose a lease is",
        "server/routes/reading.py": "boundaries between parts",
        "server/storage/layout.py": "names that were never used",
        "trust/certificates.py": "serial numbers",
    },
    effects.DISK: {
        "archive/": "a folder, and what of it waits deflated",
        "bundle/seal.py": "a payload that must wait for its seal",
        "capgo/_counts.py": "the file of what was counted",
        "capgo/_packing.py": "what of a pack waits in files without a name",
        "capgo/_single_files.py": "writes a folder of files",
        "cli/": "files named in arguments",
        "client/": "what is fetched and published",
        "crypto/keys.py": "key files",
        "delta/": "a base, and what of both contents waits in files without a name",
        "device/": "the store",
        "fleet/": "sources and outputs, which workers open by their paths",
        "http/": "the token's file",
        "io/": "its purpose",
        "recipes/": "a base, and what of a recipe waits to be sealed",
        "native/filereader.py": "its purpose",
        "native/checkedsend.py": "its purpose",
        "native/filewriter.py": "its purpose",
        "project/": "its purpose",
        "server/_reloading.py": "the certificate of the server",
        "server/_tokens.py": "the file of tokens",
        "server/_workers.py": "a pipe that ends with the process that watches, and the ends of processes",
        "server/_outlet.py": "the number of a socket, and files that are sent as they are",
        "server/catalogue/exporting.py": "whether a tree would lie in its store",
        "server/storage/_folder.py": "a folder as storage",
        "server/storage/objects.py": "a folder as storage",
        "server/storage/_checked_run.py": "closes files that were sent",
        "server/storage/payload_reader.py": "closes files that were sent",
        "trust/": "stores, certificates and signers' files",
    },
    effects.DURABILITY: {
        "io/drafts.py": "files get their names",
        "io/durable.py": "its purpose",
    },
    effects.TERMINAL: {
        "cli/": "its purpose",
        "server/_run.py": "log_to_stderr() writes where the process writes its messages",
        "server/_terminal.py": "whether whoever started the server is there still",
    },
    effects.PROCESSES: {
        "__init__.py": "a child of fork() must not want a module that another thread was importing",
        "cli/__init__.py": "ends the process without tearing the interpreter down",
        "cli/framework/exit_codes.py": "ends a process that hangs in tidying up, at a second signal",
        "project/git.py": "asks git",
        "server/_workers.py": "forks workers, and passes signals on to them",
        "trust/external_signers.py": "signers that are commands",
    },
    effects.NETWORK: {
        "cli/commands/dev.py": "the address to show",
        "cli/commands/serve.py": "runs the server",
        "client/_connection.py": "its purpose",
        "client/_environment.py": "how servers are reached and checked",
        "client/_sockets.py": "ends what waits on a socket",
        "client/_tls_mistakes.py": "tells a port that speaks TLS from one that hung up",
        "fleet/_places.py": "reads and writes buckets",
        "fleet/_sources.py": "reads objects as they were",
        "server/": "its purpose",
    },
    effects.HIDDEN: {
        "__init__.py": "which modules are being imported, before a fork",
    },
}

# Nothing happens when a module is imported, but for these.
AT_IMPORT = {
    "__init__.py: os.register_at_fork()": "forks wait for imports that are under way",
    "__main__.py: main()": "its purpose",
}

# Imports whose names are computed: a lazy door reads them from its table of names, which is read here, too.
COMPUTED_IMPORTS = {
    "delta/__init__.py": "the door of a room whose two sides need different libraries",
    "__init__.py": "the front door",
    "capgo/__init__.py": "the door of a room that most programs use one function of",
    "embedding/__init__.py": "the door of a room whose streams need no middleware",
    "server/__init__.py": "the door of a room whose application needs no web server",
}

# Modules without an underscore that no other room uses: they are for those who build on the package.
FOR_OTHERS: set[str] = set()

# What breaks the table today, and will not when the work that mends it is done.
DEBTS: dict[str, str] = {}
