"""Recompute every output of the test vectors of "BitTorrent over TLS" and say which differ.
Written from the text of the BEP alone; no code is shared with the maker's.  Usage: check_vectors.py [FOLDER]
"""
# ruff: noqa: D103, E401, E701, I001 (functions are named after files and sections; this is kept short)
import base64, hashlib, hmac, json, re, sys, unicodedata
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import ciphers, hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

Fields = dict[str, Any]  # inputs or outputs, with bytes for hexadecimal digits
SCHEMES: Fields = {"0403": [ec.ECDSA(hashes.SHA256(), deterministic_signing=True)], "0807": [],
                   "0804": [padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256()]}
SIGNATURES = {"1.2.840.10045.4.3.2": "0403", "1.3.101.112": "0807", "1.2.840.113549.1.1.10": "0804"}
KNOWN = (x509.BasicConstraints, x509.KeyUsage, x509.ExtendedKeyUsage, x509.SubjectAlternativeName)
SCRYPT = {"name": "scrypt", "n": 131072, "r": 8, "p": 1}
CLIENT, NAMES = x509.ExtendedKeyUsageOID.CLIENT_AUTH, "urn:bt(ih:[0-9a-f]{40}|mh:1220[0-9a-f]{64})"
LABEL, PORT = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", r"(:(?!443$)(?P<port>[1-9]\d{0,4}))?"
ORIGIN = rf"https://(({LABEL}\.)*(?!\d+(:|$)){LABEL}|(?P<ip4>[0-9.]+)|\[(?P<ip6>[0-9a-f:]+)\]){PORT}"
# Building blocks: lengths, RFC 5869 (nothing here is longer than its first block), the bencoding of BEP 3
def opaque(width: int, data: bytes) -> bytes: return len(data).to_bytes(width) + data
def expand(key: bytes, info: bytes, size: int, name: str = "sha256") -> bytes:
    return hmac.digest(key, info + b"\1", name)[:size]
def bencode(value: Any) -> bytes:
    if isinstance(value, str | bytes):
        return b"%d:%b" % (len(raw := value.encode() if isinstance(value, str) else value), raw)
    if isinstance(value, dict):
        items = sorted((key.encode() if isinstance(key, str) else key, item) for key, item in value.items())
        return b"d%be" % b"".join(b"%d:%b%b" % (len(key), key, bencode(item)) for key, item in items)
    return b"l%be" % b"".join(map(bencode, value)) if isinstance(value, list) else b"i%de" % value
def bdecode(data: bytes) -> tuple[Any, bytes]:  # callers refuse every form but that of bencode
    if found := re.match(rb"i(-?\d{1,19})e", data):
        return int(found[1]), data[found.end():]
    if data[:1] not in (b"l", b"d"):
        size, rest = data.split(b":", 1)
        return rest[:int(size)], rest[int(size):]
    items, rest = [], data[1:]
    while rest[:1] != b"e":
        item, rest = bdecode(rest)
        items.append(item)
    return (items if data[:1] == b"l" else dict(zip(items[::2], items[1::2], strict=True))), rest[1:]
def depth(value: Any) -> int:
    items = [*value.values()] if isinstance(value, dict) else value
    return 1 + max(map(depth, items), default=0) if isinstance(items, list) else 0
def accepted(rule: Any, *arguments: Any) -> Any:
    try:
        return rule(*arguments)
    except Exception:  # noqa: BLE001 (whatever a parser or a check raises is a refusal)
        return None
# Transport and Dispatch, The TLS Layer, Keys, The Hello, The Responder
def dispatch(i: Fields) -> Fields:
    for transport, rule in (("clear", {0: b"\x13", 1: b"B", 2: b"i", 3: b"t"}),
                            ("tls", {0: b"\x16", 1: b"\x03", 2: bytes(range(5)), 5: b"\x01"})):
        if all(byte in rule.get(at, [byte]) for at, byte in enumerate(i["first_bytes"])):
            return {"transport_text": transport if len(i["first_bytes"]) > max(rule) else "wait"}
    return {"transport_text": "mse"}
def tls_exporter(i: Fields, label: str, size: int) -> bytes:
    secret, empty = i["exporter_master_secret"], hashlib.new(i["hash_text"]).digest()
    for text, length in ((label, len(empty)), ("exporter", size)):
        info = length.to_bytes(2) + opaque(1, b"tls13 " + text.encode()) + opaque(1, empty)
        secret = expand(secret, info, length, i["hash_text"])
    return secret
def key_schedule(i: Fields) -> Fields:
    level, secret = i["level_text"], i["secret32"] or b""
    key = hmac.digest(b"bittorrent-tls " + level.encode(), secret + i["infohash"], "sha256")
    lid = expand(key, b"lookup", 16)
    block = ciphers.Cipher(ciphers.algorithms.AES128(i["K"]), ciphers.modes.ECB()).encryptor().update(lid)
    proofs = {f"{role}_proof": hmac.digest(expand(key, b"proof " + role.encode(), 32), i["EKM"], "sha256")
              for role in ("initiator", "responder")}
    return proofs | {"SK": key, "LID": lid, "tag": bytes(a ^ b for a, b in zip(block, lid, strict=True)),
                     "discovery_id": None if level == "basic" else expand(key, b"discovery", 20)}
def hello(i: Fields) -> Fields:
    keys = key_schedule(i)
    whole = keys["tag"] + keys[f"{i['role_text']}_proof"] + b"\0" + opaque(2, bytes(i["pad_len"]))
    return {"hello_head": whole[:51], "hello_bytes": len(whole)}
def first_record(i: Fields) -> Fields:
    keys, record = [key_schedule(i | torrent) for torrent in i["torrents"]], i["record"]
    held = [at for at, key in enumerate(keys)
            if len(record) >= 51 and record[:48] == key["tag"] + key["initiator_proof"]]
    decision = "proven" if len(record) == 51 + int.from_bytes(record[49:51]) else "close"
    return {"decision_text": decision if held else "decoy", "torrent": held[0] if held else None}
# Full: Proof of Membership
def authenticator(i: Fields) -> Fields:
    name, scheme, asked = i["hash_text"], i["signature_scheme"], opaque(1, i["certificate_request_context"])
    kind, side = {"initiator": (b"\x0d", "client"), "responder": (b"\x11", "server")}[i["sender_text"]]
    context, key = (tls_exporter(i, f"EXPORTER-{side} authenticator {what}", hashlib.new(name).digest_size)
                    for what in ("handshake context", "finished key"))
    request = kind + opaque(3, asked + opaque(2, bytes.fromhex("000d00080006040308070804")))
    certificate = b"\x0b" + opaque(3, asked + opaque(3, b"".join(opaque(3, c) + b"\0\0" for c in i["chain"])))
    before = context + request
    signed = b" " * 64 + b"Exported Authenticator\0" + hashlib.new(name, before + certificate).digest()
    def whole(signature: bytes) -> bytes:
        both = certificate + b"\x0f" + opaque(3, scheme + opaque(2, signature))
        return both + b"\x14" + opaque(3, hmac.digest(key, hashlib.new(name, before + both).digest(), name))
    def holds(given: bytes, ca: list[bytes], infohash: bytes, now: int) -> bool:
        chain = [x509.load_der_x509_certificate(der) for der in i["chain"]]
        signature = given[len(certificate) + 8:-4 - len(key)]
        check_signature(chain[0], scheme.hex(), signature, signed)
        return given == whole(signature) and chain_holds(chain, ca, infohash, now)
    leaf_key: Any = (ed25519.Ed25519PrivateKey.from_private_bytes(i["leaf_key"]) if scheme == b"\x08\x07" else
                     ec.derive_private_key(int.from_bytes(i["leaf_key"]), ec.SECP256R1()))
    made = whole(leaf_key.sign(signed, *SCHEMES[scheme.hex()]))
    held = {"holds": bool(accepted(holds, i.get("authenticator", made), i["ca"], i["infohash"], i["now_s"]))}
    return held if "authenticator" in i else held | {
        "handshake_context": context, "finished_key": key, "request": request, "signed": signed,
        "request_frame": opaque(3, request), "authenticator": made, "frame_head": opaque(3, made)[:3]}
def check_signature(signer: x509.Certificate, scheme: str, signature: bytes, data: bytes) -> None:
    key: Any = signer.public_key()
    fits = {"0403": isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == "secp256r1",
            "0807": isinstance(key, ed25519.Ed25519PublicKey), "0804": isinstance(key, rsa.RSAPublicKey) and
            key.key_size in range(2048, 4097) and key.public_numbers().e == 65537}
    key.verify(signature, data, *SCHEMES[scheme if fits[scheme] else "of another key"])
def chain_holds(chain: list[x509.Certificate], ca: list[bytes], infohash: bytes, now: int) -> bool:
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    pins = [hashlib.sha256(cert.public_key().public_bytes(*form)).digest() for cert in chain]
    rules: list[object] = [2 <= len(chain) <= 3, pins[-1] in ca, pins[0] not in ca]
    for below, (cert, issuer) in reversed([*enumerate(zip(chain, chain[1:] + chain[-1:], strict=True), -1)]):
        found: dict[type, Any] = {type(item.value): item for item in cert.extensions}
        basic, usage, purposes, names = (found.get(kind) for kind in KNOWN)
        scheme = SIGNATURES[cert.signature_algorithm_oid.dotted_string]
        check_signature(issuer, scheme, cert.signature, cert.tbs_certificate_bytes)
        rules += [cert.version == x509.Version.v3, cert.issuer == issuer.subject,
                  all(kind in KNOWN or not item.critical for kind, item in found.items()),
                  cert.not_valid_before_utc.timestamp() - 300 <= now < cert.not_valid_after_utc.timestamp()]
        if below >= 0:  # an issuer, and so many issuers below it
            rules += [basic.critical, basic.value.ca, basic.value.path_length in (None, *range(below, 256)),
                      usage.value.key_cert_sign, not purposes or CLIENT in purposes.value]
    uris = [name.value for name in names.value if isinstance(name, x509.UniformResourceIdentifier)]
    return all([*rules, not list(chain[0].subject), list(purposes.value) == [CLIENT], names.critical,
                not basic or not basic.value.ca, all(re.fullmatch(NAMES, uri) for uri in uris),
                urn(infohash) in uris, len({len(uri) for uri in uris}) == len(names.value),
                not usage or (usage.value.digital_signature and not usage.value.key_cert_sign)])
# Torrent Files and Magnet Links
def urn(raw: bytes) -> str: return ("urn:btih:" if len(raw) == 20 else "urn:btmh:1220") + raw.hex()
def commit(secret32: bytes) -> bytes: return hashlib.sha256(b"bittorrent-tls commit" + secret32).digest()
def base64url(value: Any) -> str: return base64.urlsafe_b64encode(bencode(value)).decode().rstrip("=")
def origin_holds(origin: bytes) -> bool:
    found: Any = re.fullmatch(ORIGIN, origin.decode("ascii"))
    ip = ip_address(found["ip4"] or found["ip6"] or "::")
    return (str(ip) in (found["ip4"], found["ip6"], "::") and not getattr(ip, "ipv4_mapped", None)
            and len(origin) <= 300 and int(found["port"] or 443) < 65536)
def tls_holds(data: bytes) -> bool:
    tls = bdecode(data)[0]
    full, salt = tls[b"level"] == b"full", tls.get(b"kdf", {}).get(b"salt", bytes(16))
    ca, origins = tls.get(b"ca", []), tls.get(b"trackers", []) + [tls.get(b"est")] * full
    return all((
        bencode(tls) == data, len(data) <= 8192, tls[b"v"] == 1, tls[b"level"] in (b"strict", b"full"),
        b"kdf" not in tls or bencode(tls[b"kdf"]) == bencode(SCRYPT | {"salt": salt}), len(b"" + salt) == 16,
        full == (b"ca" in tls) == (b"est" in tls), isinstance(ca, list), len(ca) in range(full, 17),
        all(len(b"" + digest) == 32 for digest in [tls[b"commit"], *ca]), len(origins) - full <= 16,
        b"secret" not in tls, depth(tls) <= 16,
        all(map(origin_holds, origins))))
def read_link(text: str) -> tuple[bytes, bytes | None] | None:
    tls = bdecode(base64.urlsafe_b64decode(text + "==="))[0]
    again, secret = base64url(tls), tls.pop(b"secret", None)
    proven = secret is None or (b"kdf" not in tls and commit(secret) == tls[b"commit"])
    return (bencode(tls), secret) if again == text and proven and tls_holds(bencode(tls)) else None
def links(i: Fields) -> Fields:
    tls, secret = accepted(read_link, i["x_tls_text"]) or (None, None)
    return {"read": tls is not None, "secret32": secret, "fits": tls == i["tls"]}
def passphrase(i: Fields) -> Fields:
    if "passphrase_text" not in i:
        return {"commit": commit(i["secret32"])}
    password = unicodedata.normalize("NFC", i["passphrase_text"]).encode()
    if len(password) not in range(1, 1025): return dict.fromkeys(("password", "secret32", "commit"))
    secret = hashlib.scrypt(password, salt=i["salt"], n=131072, r=8, p=1, maxmem=2**28, dklen=32)
    return {"password": password, "secret32": secret, "commit": commit(secret)}
def torrents(i: Fields) -> Fields:
    tls = {"v": 1, "level": i["level_text"], "commit": i["commit"] and commit(i["secret32"]),
           "ca": i["ca"], "est": i["est_text"], "trackers": i["trackers_text"],
           "kdf": i["salt"] and SCRYPT | {"salt": i["salt"]}}
    tls = {key: value for key, value in tls.items() if value}
    secret = None if i["salt"] else base64url(tls | {"secret": i["secret32"]})
    return {"tls": bencode(tls), "x_tls_text": base64url(tls), "x_tls_secret_text": secret}
def metainfo(i: Fields) -> Fields:
    torrent = bdecode(i["torrent"])[0]
    info, told = torrent[b"info"], torrent.get(b"tls secret")
    made = told or passphrase(i | {"salt": info[b"tls"][b"kdf"][b"salt"]})["secret32"]
    kinds = ["sha1"] * (b"pieces" in info) + ["sha256"] * (info.get(b"meta version") == 2)
    infohashes = [hashlib.new(kind, bencode(info)).digest() for kind in kinds]
    inputs = {"level_text": info[b"tls"][b"level"].decode(), "secret32": made, "EKM": b"", "K": bytes(16)}
    keys = [key_schedule(inputs | {"infohash": infohash}) for infohash in infohashes]
    link = base64url(info[b"tls"] | ({b"secret": told} if told else {}))
    names = "".join(f"xt={urn(infohash)}&" for infohash in infohashes)
    return {"level_text": inputs["level_text"], "secret32": made, "infohashes": infohashes,
            "keys": [{"SK": key["SK"], "discovery_id": key["discovery_id"]} for key in keys],
            "magnet_text": f"magnet:?{names}x.tls={link}"}
# Discovery, BitTorrent Inside the Channel
def announce(i: Fields) -> Fields:
    url, other = urlsplit(i["url_text"]), key_schedule(i | {"EKM": b"", "K": bytes(16)})["discovery_id"]
    named = f"{url.scheme}://{url.netloc}" in i["trackers_text"]
    if not named and url.hostname in [urlsplit(origin).hostname for origin in i["trackers_text"]]:
        return {"request_text": None}
    fields = {"info_hash": (i["infohash"] if named else other or i["infohash"])[:20]} | i["parameters"]
    said = {"supporttls": i["supports_tls"] * 1, "requiretls": i["requires_tls"] * 1, "tls_pin": i["pin"]}
    fields |= {name: value for name, value in said.items() if value and url.scheme == "https"}
    return {"request_text": f"{i['url_text']}?{urlencode(fields, quote_via=quote)}"}
def columns(peers: list[Fields], names: Fields) -> Fields:
    rows = [peer | {"at": ip_address(peer["host_text"]).packed + peer["port"].to_bytes(2)} for peer in peers]
    found = {name.format(end): [row[field] for row in rows if len(row["at"]) == size]
             for name, field in names.items() for end, size in (("", 6), ("6", 18))}
    return {name: b"".join(item or bytes(32) for item in row) for name, row in found.items() if any(row)}
def tracker(i: Fields) -> Fields:
    lists = columns(i["peers"], {"peers{}": "at", "tls_flags{}": "flags", "tls_pins{}": "pin"})
    if i["form_text"] == "compact":
        return {"response": bencode({"interval": i["interval"]} | lists)}
    (peer,) = i["peers"]
    flags = {"tls_flags": int.from_bytes(peer["flags"]), "tls_pin": peer["pin"]}
    return {"peer": bencode({"ip": peer["host_text"], "port": peer["port"]} | flags)}
def pex(i: Fields) -> Fields:
    added = columns(i["added"], {"added{}": "at", "added{}.f": "flags"})
    return {"payload": bencode(added | columns(i["dropped"], {"dropped{}": "at"}))}
FILES: Fields = {f"{compute.__name__}.json": compute for compute in (
    announce, authenticator, dispatch, first_record, hello, key_schedule, links, metainfo, passphrase, pex,
    torrents, tracker)} | {
    "extension.json": lambda i: {"payload": bencode(i)},
    "exporter.json": lambda i: {"EKM": tls_exporter(i, "EXPORTER-bittorrent-tls-1", 32),
                                "K": tls_exporter(i, "EXPORTER-bittorrent-tls-1 lookup", 16)},
    "torrents_read.json": lambda i: {"accepted": bool(accepted(tls_holds, i["tls"]))}}
def decoded(value: Any, name: str = "") -> Any:
    if isinstance(value, str):
        return value if name.endswith("_text") else bytes.fromhex(value)
    if isinstance(value, list):
        return [decoded(item, name) for item in value]
    return {key: decoded(item, key) for key, item in value.items()} if isinstance(value, dict) else value
def differences(at: str, wanted: Fields, outputs: Fields) -> list[str]:
    computed = json.loads(json.dumps(outputs, default=bytes.hex))
    return [f"{at}: {key}: expected {wanted.get(key, 'nothing')}, computed {computed.get(key, 'nothing')}"
            for key in sorted({*wanted, *computed}) if wanted.get(key, ...) != computed.get(key, ...)]
def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "vectors"
    at, wrong = str(folder), 0
    try:
        for file in sorted({*FILES} | {path.name for path in folder.iterdir()} - {"worked_example.txt"}):
            at, found = file, []
            compute, vectors = FILES[file], json.loads((folder / file).read_text("utf-8"))["vectors"]
            for vector in vectors or [{}]:
                at = f"{file}: {vector['name']}"
                found += differences(at, vector["outputs"], compute(decoded(vector["inputs"])))
            sys.stdout.write("\n".join(found or [f"{file}: {len(vectors)} vectors, all as computed"]) + "\n")
            wrong += len(found)
    except Exception as error:  # noqa: BLE001 (the files may hold anything)
        wrong = sys.stdout.write(f"{at} can't be checked: {error!r}\n")
    return min(wrong, 1)
if __name__ == "__main__":
    sys.exit(main())
