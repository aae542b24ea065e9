"""What is wrong with a project's trust stores, by themselves and beside the keys that its configuration names."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from ..crypto.keys import PublicKey
from ..errors import CapsealError
from ..format.strictjson import Role
from ..trust.certificates import Chain, load_chain
from ..trust.key_sets import KeySet
from ..trust.signers import chain_file_of
from ..trust.store import TrustStore, load_trust
from ._findings import Finding, ending, error_at, reason_of, warning_at
from ._named_keys import key_files, public_of, sibling
from .config import Config
from .trust_edits import certificate_fingerprint

_Trusted = Sequence[str]
"""The fingerprints of what a store trusts for production."""


def store_findings(config: Config, now: datetime) -> Iterator[Finding]:
    """Find what is wrong with the stores of production and development builds."""
    development = {key for path in config.development_signers if (key := public_of(path)) is not None}
    stores: dict[Role, TrustStore] = {}
    for path, role, signers in (
        (config.trust, Role.PRODUCTION, config.signers),
        (config.development_trust, Role.DEVELOPMENT, config.development_signers),
    ):
        if path is None:
            continue
        try:
            store = load_trust(path)
        except (CapsealError, OSError) as error:
            yield error_at(path, f"unusable trust store: {reason_of(error, path)}", "make it anew with 'capseal trust'")
            continue
        stores[role] = store
        if role is Role.PRODUCTION:
            yield from _strangers(path, store, development)
        yield from _purposes(path, store, config, now)
        yield from _expiring(path, store, now)
        yield from _untrusted(path, store, signers)
        yield from _unrevocable(path, store, key_files(config))
        if role is Role.PRODUCTION and 0 < len(signers) < store.threshold:
            yield warning_at(
                path,
                f"the threshold is {store.threshold}, capseal.toml names {len(signers)} signers",
                "let the others cosign: 'capseal cosign'",
            )
    if len(stores) == 2 and config.development_trust is not None:
        yield from _left_behind(config.development_trust, stores[Role.DEVELOPMENT], stores[Role.PRODUCTION], config)


def _left_behind(path: str, store: TrustStore, production: TrustStore, config: Config) -> Iterator[Finding]:
    """Find where a development store has not followed the production store, whose updates do not change it."""
    way = " --update FILE" if store.version > 1 else " --in-place"
    named = ((signer, public_of(signer)) for signer in (*config.signers, *config.head_signers))
    publics = {key.fingerprint: sibling(signer, ".pub.pem") for signer, key in named if key is not None}

    def differing(what: str, here: _Trusted, there: _Trusted, known: Collection[str], more: str) -> Iterator[Finding]:
        # What is new comes first: of a store's keys, the last one cannot be taken out.
        for one in there:
            if one not in here and one not in known:
                yield error_at(
                    path,
                    f"does not have {what} {one[:16]} of the production store: development builds refuse what it signs",
                    f"capseal trust add {publics.get(one, 'FILE')}{more} --trust {path}{way}",
                )
        for one in here:
            if one not in there:
                yield error_at(
                    path,
                    f"has {what} {one[:16]} for production, which the production store does not have: development "
                    "builds take what it signs",
                    f"if it was rotated out, or stolen: capseal trust remove {one[:16]} --trust {path}{way}",
                )

    by_itself = {trusted.key.fingerprint for trusted in store.keys}
    needless = [
        certificate_fingerprint(one.certificate)
        for one in production.certificates
        if Chain.of([one.certificate]).fingerprints <= by_itself
    ]
    yield from differing("release key", _keys(store), _keys(production), by_itself, "")
    yield from differing("certificate", _certificates(store), _certificates(production), needless, "")
    yield from _threshold(path, "releases", store.threshold, production.threshold, way)
    if store.heads is not None and production.heads is not None:
        ours, theirs = store.heads.production, production.heads.production
        yield from differing("head key", ours.fingerprints, theirs.fingerprints, (), " --purpose head")
        yield from _threshold(path, "heads", ours.threshold, theirs.threshold, f" --purpose head{way}")


def _threshold(path: str, what: str, here: int, there: int, way: str) -> Iterator[Finding]:
    """Find where a development store takes more, or fewer, keys for what is of production than its own store does."""
    if here != there:
        does = "take what fewer keys sign" if here < there else "refuse what is signed by no more than that"
        yield error_at(
            path,
            f"has threshold {here} for {what} of production, the production store has {there}: development builds "
            f"{does}",
            f"with the key that is added or taken out: --threshold {there} --trust {path}{way}; where all are right, "
            "take one out, and add it again so",
        )


def _keys(store: TrustStore) -> _Trusted:
    return [one.key.fingerprint for one in store.keys if one.role is Role.PRODUCTION]


def _certificates(store: TrustStore) -> _Trusted:
    return [certificate_fingerprint(one.certificate) for one in store.certificates if one.role is Role.PRODUCTION]


def _strangers(path: str, store: TrustStore, development: set[PublicKey]) -> Iterator[Finding]:
    advice = (
        "a production build must refuse what developers sign: take it out, capseal trust remove ID --trust "
        f"{path}{_way(store)}"
    )
    for trusted in store.keys:
        short = trusted.key.fingerprint[:16]
        if trusted.role is Role.DEVELOPMENT:
            yield error_at(path, f"development key {short} is in the production trust store", advice)
        elif trusted.key in development:
            yield error_at(path, f"development key {short} is trusted for production", advice)
    for certified in store.certificates:
        if certified.role is Role.DEVELOPMENT:
            name = certified.certificate.subject.rfc4514_string()
            yield error_at(path, f"development certificate {name!r} is in the production trust store", advice)


def _purposes(path: str, store: TrustStore, config: Config, now: datetime) -> Iterator[Finding]:
    """Find what is missing of root and heads, and what ends soon."""
    if store.root is None:
        yield warning_at(
            path,
            "has no root: devices take no update of it, so that a stolen release key takes a new app build to replace",
            f"before the next app build: capseal key generate signing -o root, capseal trust add root.pub.pem "
            f"--purpose root --trust {path}",
        )
    else:
        yield from _unnamed(path, "root", store.root, config.root_signers)
    if store.heads is None:
        yield warning_at(
            path,
            "has no heads: devices cannot notice that a newer release is withheld",
            f"capseal key generate signing -o head, capseal trust add head.pub.pem --purpose head --trust {path}"
            f"{_way(store)}",
        )
        return
    yield from _unnamed(path, "head", store.heads.production, config.head_signers)
    advice = "let the root say until when: capseal trust heads --until YYYY-MM-DD --update FILE"
    yield from ending(path, "the time for which heads may be signed", store.heads.until, now, advice)


def _unnamed(path: str, what: str, keys: KeySet, signers: Sequence[str]) -> Iterator[Finding]:
    """Find signers that a set of the store's does not have."""
    for signer in strangers_to(keys, signers):
        yield error_at(
            path,
            f"does not have {signer} as a {what} key",
            f"correct {what}_signers in capseal.toml, or rotate to it (docs/keys.md)",
        )


def strangers_to(keys: KeySet, signers: Sequence[str]) -> list[str]:
    """Return the signers that a set of keys has not, where their public halves are at hand."""
    found = ((signer, public_of(signer)) for signer in signers)
    return [signer for signer, key in found if key is not None and key not in keys.keys]


def _expiring(path: str, store: TrustStore, now: datetime) -> Iterator[Finding]:
    for trusted in store.certificates:
        name, ends = trusted.certificate.subject.rfc4514_string(), trusted.certificate.not_valid_after_utc
        yield from ending(path, f"trusted certificate {name!r}", ends, now, "rotate to a new one (docs/keys.md)")
    for crl in store.crls:
        if crl.next_update_utc is not None:
            name = crl.issuer.rfc4514_string()
            yield from ending(path, f"revocation list of {name!r}", crl.next_update_utc, now, "fetch the current one")


def _untrusted(path: str, store: TrustStore, signers: Sequence[str]) -> Iterator[Finding]:
    if store.certificates:
        return  # a CA may vouch for them
    keys = {trusted.key for trusted in store.keys}
    for signer in signers:
        key = public_of(signer)
        if key is not None and key not in keys:
            yield error_at(
                path,
                f"does not trust the signer {signer}",
                _let_in(sibling(signer, ".pub.pem"), path, store),
            )


def _let_in(public: str, path: str, store: TrustStore) -> str:
    """Return what to do about a signer that a store does not trust."""
    if store.version == 1:
        return f"capseal trust add {public} --trust {path}{_way(store)}"
    # After a rotation it may be the key that was taken out, which nobody shall be told to let in again.
    return (
        "if it was rotated out: name the signers of now in capseal.toml; if it is new: the root lets it in, "
        f"capseal trust add {public} --trust {path} --update FILE"
    )


def _way(store: TrustStore) -> str:
    """Return how a store is changed: by an update, unless devices follow none of it, or no build has it yet."""
    if store.root is None:
        return ", and ship the store with the app"
    if store.version > 1:
        return " --update FILE"
    return " --update FILE (--in-place where no build has the store yet)"


def _unrevocable(path: str, store: TrustStore, signers: Sequence[str]) -> Iterator[Finding]:
    """Find keys that are trusted by themselves beside a certificate that vouches for them."""
    for signer in dict.fromkeys(signers):
        key = public_of(signer)
        if key is None or key not in {trusted.key for trusted in store.keys}:
            continue
        try:
            chain = load_chain(chain_file_of(signer), key)
        except (CapsealError, OSError):
            continue  # reported elsewhere, or none
        for anchor in chain.anchors(trusted.certificate for trusted in store.certificates):
            yield error_at(
                path,
                f"trusts key {key.fingerprint[:16]} by itself beside {anchor.subject.rfc4514_string()!r}, which "
                "vouches for it: neither its certificate's end nor a revocation would change anything",
                f"capseal trust remove {key.fingerprint[:16]} --trust {path}{_way(store)}",
            )
