"""Every cap on size, count and depth, each with its reason.

An image's bytes come from somebody else. No read is without a cap and no cap is written anywhere else.
"""

from __future__ import annotations

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

# --- documents ---------------------------------------------------------------------------------------------------
MANIFEST_BYTES: Final = 4 * MIB
"""distribution-spec 1.1 asks registries for at least 4 MiB; containers/image reads no more than this."""
CONFIG_BYTES: Final = 4 * MIB
"""As containers/image; real configs are a few kilobytes."""
PAYLOAD_BYTES: Final = 4 * MIB
"""One signature payload: as containers/image (cosign's 128 MiB default is for attestations)."""
BUNDLE_BYTES: Final = 16 * MIB
"""One sigstore bundle: an attested SBOM of a large image has some megabytes."""
ARTIFACT_BYTES: Final = 512 * MIB
"""A signed file whose bytes must be held, since its key signs by none of the hashes that are made of its stream."""
EVIDENCE_BYTES: Final = 32 * MIB
"""All payloads of one place together: a thousand 4 MiB payloads must not fill the memory."""
EVIDENCE_IN_FLIGHT: Final = 128 * MIB
"""What was gathered of all images and is not judged yet; an image that does not fit waits before it is read."""
SIGNATURES_PER_PLACE: Final = 128
"""Signatures listed at one place; containers/image refuses a lookaside with more; the signer chooses the work."""
SIGNATURE_CHECKS_PER_IMAGE: Final = 16_384
"""In P-256 checks, 1.5 s in all: 64 keys tried on 128 signatures are 8,192, and a dearer curve counts as ten."""
JSON_DEPTH: Final = 32
"""Nesting of manifests, payloads and policies; real ones stay below ten, deeper is an attack on recursion."""
JSON_DEPTH_MOST: Final = 256
"""The deepest nesting a caller may ask the JSON reader and writer for: both recurse, and a thread's stack is finite."""
JSON_INTEGER_DIGITS: Final = 20
"""Digits of one integer in JSON: 2**64 has 20; converting longer ones is quadratic (CVE-2020-10735)."""
JSON_NUMBER_CHARS: Final = 128
"""Characters of one JSON number with a fraction or exponent; 17 digits tell every double apart."""
JSON_VALUES: Final = 262_144
"""Values of a JSON document whose reader gives no narrower cap: the smallest object takes 230 bytes, so 60 MB."""
JSON_BYTES: Final = 64 * MIB
"""A JSON document whose reader gives no narrower cap: the largest read here is index.json of a layout."""
LAYERS: Final = 4096
"""Layers of one image; runtimes stop at 127, artifacts may carry more."""
INDEX_CHILDREN: Final = 4096
"""Manifests listed in one index."""
INDEX_DEPTH: Final = 4
"""Indexes nested in indexes; a cycle is impossible by digest, a chain is not."""
MANIFEST_VALUES: Final = 131_072
"""Values in a manifest or index, annotations too: 32 for each of 4,096 entries, of which a platform is 6."""
CONFIG_VALUES: Final = 65_536
"""Values in an image's configuration: 4,096 layers, each with 6 of its history, and tens of thousands of labels."""
PAYLOAD_VALUES: Final = 4096
"""Values in a signature's payload or what wraps it: a dozen, and the annotations that a signer asked for."""
BUNDLE_VALUES: Final = 4096
"""Values in a bundle or envelope: 32 log entries with 64 hashes each are 2,600, and what was signed is one text."""
STATEMENT_VALUES: Final = 500_000
"""Values in a predicate: an SBOM of a large image has 200,000. Their 115 MB are taken only for a trusted signer."""
STATEMENT_HEAD_VALUES: Final = 65_536
"""Values of a statement beside its predicate: 1,024 subjects with 32 digests each are 36,000."""
LOG_VALUES: Final = 1024
"""Values in what a log or a timestamp authority writes: an entry has some dozens, with a proof a hundred."""

# --- the distribution API ----------------------------------------------------------------------------------------
REFERRER_MANIFEST_BYTES: Final = 256 * KIB
"""A manifest that refers to an image: one layer and some annotations, a kilobyte or two. 128 are read of one image."""
TOKEN_BYTES: Final = 1 * MIB
"""A token reply, as containers/image."""
TOKEN_VALUES: Final = 1024
"""Values in it: five, with a list of granted scopes some more."""
ERROR_BYTES: Final = 64 * KIB
"""An error body: only its code and message are used."""
TAG_PAGE_BYTES: Final = 8 * MIB
"""One page of tags: containers/image has no cap here, and a registry can send for ever."""
TAG_PAGE_VALUES: Final = 262_144
"""Values in it: a registry that knows no pages lists all its tags in one, and 8 MiB hold so many of 30 characters."""
TAGS: Final = 1_000_000
"""Tags of one repository over all pages."""
TAG_PAGES: Final = 10_000
"""Pages of tags followed by Link: a registry can link for ever."""
IDLE_TAG_PAGES: Final = 8
"""Pages in a row that name no new tag and lead on: some registries leave out what was deleted, none endlessly."""
REFERRERS_BYTES: Final = 4 * MIB
"""One page of referrers is an index, so the manifest cap holds."""
REFERRERS: Final = 4096
"""Referrers of one subject over all pages (CVE-2023-46737: endless lists)."""
REFERRER_PAGES: Final = 64
"""Pages of them, each of which must bring one that is new: all REFERRERS at 64 a page."""
REFERRERS_S: Final = 300.0
"""Time after which no further page of them is asked for: a page may take as long as any request."""
REDIRECTS: Final = 10
"""As Go's client."""
HEADER_BYTES: Final = 32 * KIB
"""One reply header line or field: long enough for signed CDN locations."""
CHALLENGE_CHARS: Final = 16 * KIB
"""One WWW-Authenticate field."""
CHALLENGES: Final = 16
"""Challenges in one reply; registries send one or two."""
CHALLENGE_PARAMETERS: Final = 32
"""Parameters of one challenge; three are used."""
TOKEN_LIFETIME_S: Final = 86_400.0
"""A token is asked anew after a day whatever it says of itself: a huge number must not overflow a clock."""
TOKEN_REFRESHES: Final = 2
"""401 answers to a fresh token for one request before it is called unauthorized."""
RETRY_AFTER_S: Final = 30.0
"""A longer Retry-After ends the retries (cli.md, Defaults)."""
STREAM_BYTES_PER_S: Final = 64 * KIB
"""A blob stream slower than this over its whole length is a time-out: a drip of bytes would hold a slot for ever."""
CHUNK_BYTES: Final = 256 * KIB
"""Bytes asked from a stream at a time: large enough that hashing outweighs the hand-over."""
BYTES_IN_FLIGHT: Final = 64 * MIB
"""All bodies being read together; what does not fit waits. What was read then counts in EVIDENCE_IN_FLIGHT."""
REPLY_FIELDS: Final = 128
"""Header fields of one reply; with HEADER_BYTES each it bounds a head that never ends."""
REPLY_HEAD_BYTES: Final = 512 * KIB
"""A whole reply head, before its end was seen: more is no head."""
SMALL_BODY_BYTES: Final = 64 * KIB
"""A body stated to be no larger is read at once; a larger one waits for its share of BYTES_IN_FLIGHT."""
BACKOFF_FIRST_S: Final = 0.1
"""The first wait before another try; it doubles with each (cli.md, Defaults)."""
BACKOFF_MOST_S: Final = 30.0
"""The longest wait between two tries (cli.md, Defaults)."""
HOST_WINDOW: Final = 100
"""Replies of a host that are remembered: more than a tenth of them 429 holds all its traffic (cli.md, Defaults)."""
HOST_WINDOW_LEAST: Final = 20
"""Replies seen before a host may be held: one 429 among the first few says nothing of a tenth."""
TLS_PROBE_S: Final = 5.0
"""Time for the TLS handshake with a host that may be plain HTTP: it may wait for ever for the end of a line."""
TLS_PROBE_LOOPBACK_S: Final = 0.5
"""The same on loopback, where a handshake takes milliseconds."""
SILENT_S: Final = 30.0
"""How long an endpoint that let a connection time out is tried last: its silence costs each image a time-out."""
RESUME_BYTES: Final = 1 * MIB
"""Progress after which a broken transfer may be resumed anew as often as at first (as containers/image)."""

# --- files -------------------------------------------------------------------------------------------------------
POLICY_BYTES: Final = 4 * MIB
"""policy.json: fleets have thousands of scopes, not millions."""
CASES_BYTES: Final = 16 * MIB
"""A file of cases for `policy test`: the most cases at a kilobyte and a half each."""
CASES: Final = 10_000
"""Cases of one file: their verdicts are kept until the report is complete."""
KEY_BYTES: Final = 1 * MIB
"""A key file: a PEM key is a kilobyte."""
KEY_REFERENCE_CHARS: Final = 4096
"""What names a key that is no file: a path and a few names of a token's."""
TOKEN_OBJECTS: Final = 64
"""Objects of a PKCS#11 token that a reference matches: one is meant, with its certificate two."""
KEY_SERVICE_BYTES: Final = 1 * MIB
"""A KMS's answer: Vault lists every version of a key, each a PEM."""
KEY_SERVICE_S: Final = 10.0
"""Time for one request to a KMS: it is asked before anything is judged."""
KEY_SERVICE_RETRIES: Final = 2
"""Tries of it after the first: somebody waits for the run to begin."""
TRUSTED_ROOT_BYTES: Final = 8 * MIB
"""trusted_root.json; the public-good one is 7 KiB."""
SIGNING_CONFIG_BYTES: Final = 1 * MIB
"""A sigstore signing config; the public-good one is a kilobyte."""
TRUST_RECORD_BYTES: Final = 64 * KIB
"""The record beside a refreshed trusted root: six short members."""
TUF_ROOT_BYTES: Final = 512 * 1000
"""The first TUF root.json: what python-tuf allows the later ones."""
AUTH_BYTES: Final = 4 * MIB
"""auth.json."""
REGISTRIES_D_BYTES: Final = 1 * MIB
"""One file of registries.d."""
REGISTRIES_D_FILES: Final = 1024
"""Files of registries.d."""
REGISTRIES_CONF_BYTES: Final = 1 * MIB
"""One file of registries.conf: fleets have hundreds of prefixes of a few lines."""
REGISTRIES_CONF_FILES: Final = 1024
"""Drop-in files in one folder."""
HELPER_OUTPUT_BYTES: Final = 1 * MIB
"""What a credential helper may print: a token is a few kilobytes."""
HELPER_S: Final = 60.0
"""Time for a credential helper: some ask a person, one that asks longer than this hangs."""
YAML_NODES: Final = 100_000
"""Values of one YAML document, aliases counted at each use: fleets have thousands of sections of a few keys."""
INDEX_JSON_BYTES: Final = 64 * MIB
"""index.json of an OCI layout: a local file with a hundred thousand entries is 30 MB."""
INDEX_JSON_ENTRIES: Final = 262_144
"""Entries of it: 64 MiB hold so many of 256 bytes, and one with a digest and a name has 200."""
INDEX_JSON_VALUES: Final = 12 * INDEX_JSON_ENTRIES
"""Values in it: an entry with a platform and two annotations has eleven."""
ARCHIVE_MEMBERS: Final = 1_000_000
"""Members of one archive."""
ARCHIVE_NAMES_BYTES: Final = 64 * MIB
"""The names of one archive's members together: they are kept in memory; those of 800,000 blobs of a layout."""
TAR_NAME_BYTES: Final = 4096
"""One name in a tar file: Linux opens none that is longer (PATH_MAX)."""
TAR_EXTENSION_BYTES: Final = 1 * MIB
"""One extended header of a tar file, as Go's archive/tar."""
TAR_TAIL_BYTES: Final = 16 * MIB
"""What may lie behind the end mark of a tar file: zeros up to the next full record, in practice at most 1 MiB."""
ARCHIVE_SPOOL_BYTES: Final = 16 * 1024 * MIB
"""A compressed archive unpacked to a temporary file: what a gzip bomb may take of the disk."""
XZ_MEMORY_BYTES: Final = 128 * MIB
"""Memory for unpacking xz: `xz -9` needs 65 MiB, and a header may ask for gigabytes."""
ZSTD_WINDOW_LOG: Final = 27
"""Window of a zstd frame, as a power of two: 128 MiB, all that `zstd -22` asks for and the tool itself reads."""
LAYER_UNPACKED_BYTES: Final = 64 * 1024 * MIB
"""What one layer may unpack to: larger than any layer seen, some minutes of one core."""
IMAGE_UNPACKED_BYTES: Final = 128 * 1024 * MIB
"""The same for all layers of an image together, those of an index's children included."""
STREAM_COUNTS_AS_BYTES: Final = 4 * KIB
"""Unpacked bytes that each packed stream of a layer behind its first counts as: beginning a zstd frame takes 14 us."""
UNPACKING_RATIO: Final = 256
"""How many times its packed size a layer may unpack to: deflate ends at 1032, zstd at 40,000, honest layers at tens."""
UNPACKED_ALWAYS_BYTES: Final = 1024 * MIB
"""What a layer may unpack to whatever its ratio: files of zeros are honest, and this much costs two seconds."""
UNPACKING_IN_FLIGHT: Final = 512 * MIB
"""Memory of all layers that are being unpacked together: a zstd window is taken for as large as it may be."""
SAVED_MANIFEST_BYTES: Final = 1 * MIB
"""manifest.json of a docker-archive, as containers/image."""
LAYOUT_CACHE: Final = 64
"""Layouts and archives whose index stays parsed during a run."""
CERT_BYTES: Final = 1 * MIB
"""One file of a certificate directory."""
CERT_FILES: Final = 1024
"""Files of a certificate directory."""
POLICY_KEYS: Final = 1024
"""Keys in one requirement."""
CONVERSION_FINDINGS: Final = 4096
"""Findings about one policy that is converted: a field of each entry of a thousand is a report that nobody reads."""
CONVERSION_FILES: Final = 256
"""Files of one conversion: all policies of a cluster apply together, and a cluster has tens."""
POLICY_NESTING: Final = 8
"""allOf and anyOf inside one another in a plimsoll document: one that is deeper cannot be read by people."""
POLICY_RULES: Final = 4096
"""Rules of one plimsoll document: each is matched with each image, for a few microseconds."""
POLICY_SIGNERS: Final = 64
"""Entries of one ``from``: each is tried on each signature of an image."""
POLICY_DURATION_S: Final = 100 * 366 * 86_400
"""The longest maxAge: a hundred years, far beyond any attestation."""
CLOCK_SKEW_S: Final = 300.0
"""How far ahead of ours a signer's clock may be: a time that an attestation states beyond that is none."""
QUORUM_STEPS: Final = 20_000
"""Steps in search of distinct signers; of a few keys and identities each takes a handful."""

# --- the embedded registry ---------------------------------------------------------------------------------------
PUSHED_BLOB_BYTES: Final = 64 * 1024 * MIB
"""One blob pushed: larger than any layer seen, small enough that one client cannot fill a disk unnoticed."""
UPLOADS: Final = 1024
"""Uploads under way at once: a client can begin them for ever."""
UPLOAD_IDLE_S: Final = 300.0
"""An upload that no request touched for so long gives way to a new one where there are UPLOADS of them."""
SERVED_TAGS_PER_PAGE: Final = 10_000
"""1.3 MB at most, well below TAG_PAGE_BYTES."""
SERVED_REFERRERS_BYTES: Final = 1 * MIB
"""One page of referrers, below the 4 MiB that clients read; a single larger entry gets a page of its own."""
SERVED_AT_ONCE_BYTES: Final = 64 * KIB
"""Blobs up to this are read inside the event loop: one pread costs less than a thread's hand-over (about 0.1 ms)."""
LAYOUT_FILE_BYTES: Final = 4 * KIB
"""The oci-layout file: one version."""

# --- texts -------------------------------------------------------------------------------------------------------
REFERENCE_CHARS: Final = 4096
"""One reference; Linux paths end at 4096 bytes, docker names at 255."""
REPOSITORY_CHARS: Final = 255
"""Length of host and path together, as the distribution reference grammar."""
TEXT_CHARS: Final = 1024
"""A string from outside in a message or report."""
REPORT_WAITING_CHARS: Final = MIB
"""Of a report, waiting for who reads it: a thousand verdicts, after which none is taken."""
SPOOL_BYTES: Final = MIB
"""Of a report that is written last, in memory: a thousand verdicts; the rest waits in a temporary file."""
REASONS: Final = 16
"""Reasons in one verdict; the decisive ones come first, the rest are left out."""

# --- OpenPGP ------------------------------------------------------------------------------------------------------
OPENPGP_MESSAGE_BYTES: Final = 256 * KIB
"""One signed message, packed or unpacked: real ones are below 2 KiB, and 128 that unpack to megabytes cost seconds."""
OPENPGP_PACKETS: Final = 8
"""Packets read of one message: a signed one has three; more are counted only to say what is wrong."""
OPENPGP_CERTIFICATES: Final = 1024
"""Certificates in all keyrings of one requirement."""
OPENPGP_ANSWER_S: Final = 60
"""How long Sequoia's answer about a key is good for more signatures like the one that was asked about."""
OPENPGP_MOMENTS: Final = 10_000
"""Times of a certificate at which its standing may change; a real one has fewer than a hundred."""

# --- signing ------------------------------------------------------------------------------------------------------
PASSPHRASE_BYTES: Final = 1024
"""A passphrase: gpg reads no more than 255 characters, and one that fits a pipe's buffer needs no second thread."""
SEALED_KEY_BYTES: Final = 64 * KIB
"""A private key inside its encryption: PKCS#8 of RSA 4096 has 2.4 KiB."""
SCRYPT_BYTES: Final = 256 * MIB
"""Memory for scrypt: the dearest parameters that a key file may name (N 131072, r 8) take half of it."""
GPG_S: Final = 180.0
"""Time for gpg: its agent may ask a person for a passphrase, or for the touch of a smartcard."""
GPG_SAID_BYTES: Final = 64 * KIB
"""What gpg may print on stderr: its last line is shown where it fails."""
IDENTITY_TOKEN_CHARS: Final = 64 * KIB
"""An identity token: one or two kilobytes; groups of a large company make some more."""
SERVICE_REPLY_BYTES: Final = 4 * MIB
"""What a log, an authority or a timestamp authority answers: an entry of a megabyte at most, in base64."""
REFERRER_TRIES: Final = 8
"""Writings of a fallback tag's index before giving up: each but the first is one that another writer undid."""

# --- the transparency log ----------------------------------------------------------------------------------------
LOG_ENTRY_BYTES: Final = 1 * MIB
"""The bundle annotation of one signature: it is inside a 4 MiB manifest anyway."""
TLOGS: Final = 1024
"""Logs of one kind in one trusted root."""
AUTHORITIES: Final = 1024
"""Authorities of one kind in one trusted root; the public-good one has two, and each chain is read at the start."""
ECDSA_SIGNATURE_BYTES: Final = 256
"""DER of P-521 is 139 bytes."""
SIGNATURE_BYTES: Final = 2048
"""RSA 4096 is 512 bytes."""
MIN_RSA_BITS: Final = 2048
"""NIST SP 800-131A."""
MAX_RSA_BITS: Final = 4096
"""Beyond it one check costs milliseconds that the key's owner does not pay."""

# --- sigstore bundles and attestations ---------------------------------------------------------------------------
STATEMENT_DEPTH: Final = 64
"""Nesting of a statement: its predicate is somebody's whole document, a CycloneDX of nested components for one."""
TLOG_ENTRIES: Final = 32
"""Log entries of one bundle, as sigstore-go: each is checked, and sigstore's clients write one."""
TIMESTAMPS: Final = 32
"""Signed timestamps of one bundle, as sigstore-go."""
TIMESTAMP_BYTES: Final = 64 * KIB
"""One RFC 3161 response: a kilobyte, with a chain of RSA certificates ten."""
LOG_HASH_BYTES: Final = 64
"""A log's id or a hash of its tree: SHA-256 has 32."""
PROOF_HASHES: Final = 64
"""Hashes of one inclusion proof: one a level, and a tree of 2**63 leaves has 63 levels."""
CHECKPOINT_CHARS: Final = 64 * KIB
"""A checkpoint: a few hundred characters, and about a hundred more for each witness."""
NOTE_SIGNATURES: Final = 100
"""Signature lines of one checkpoint, as Go's sumdb/note; C2SP asks for 16 at least."""
NOTE_SIGNATURE_BYTES: Final = 8 * KIB
"""One of them with its hint: witnesses may sign by ML-DSA, 4627 bytes at its largest."""
LOG_KIND_CHARS: Final = 64
"""An entry's kind, or its version: the longest known is "hashedrekord"."""
KEY_HINT_CHARS: Final = 1024
"""What names a key in a bundle or envelope: a fingerprint, or a KMS's name for it."""
MEDIA_TYPE_CHARS: Final = 255
"""RFC 6838 section 4.2: 127 characters on each side of the slash."""
ENVELOPE_SIGNATURES: Final = 8
"""Signatures of one DSSE envelope: each may be tried under each key; cosign writes one."""
SUBJECTS: Final = 1024
"""Subjects of one statement, as sigstore-go."""
SUBJECT_DIGESTS: Final = 32
"""Digests of one subject, as sigstore-go."""

# --- certificates ------------------------------------------------------------------------------------------------
CERTIFICATES: Final = 1024
"""Certificates of one trust: Debian's whole bundle has about 150."""
CERTIFICATE_BYTES: Final = 64 * KIB
"""One certificate in DER: a kilobyte, with hundreds of names ten."""
CERTIFICATE_NAMES: Final = 512
"""Alternative names, or name constraints, of one certificate: each name is compared with each constraint."""
CERTIFICATE_EXTENSIONS: Final = 64
"""Extensions of one certificate that is read in one pass: Fulcio's have about 25. One with more is read in full."""
CHAIN_BYTES: Final = 256 * KIB
"""The chain that comes with a signature, as PEM."""
CHAIN_CERTIFICATES: Final = 16
"""Certificates in it: sigstore's chains have two or three."""
PATH_CERTIFICATES: Final = 10
"""Certificates from leaf to root: real paths have two to five."""
PATH_SIGNATURE_CHECKS: Final = 100
"""Signatures checked in search of one path, as in Go: of many certificates with one name each may be the issuer."""
PROVEN_FACTS: Final = 4096
"""Signature checks that a run remembers, each as the hash of all that it is about: less than 1 MB of memory."""
SCTS: Final = 16
"""Signed certificate timestamps of one certificate: Fulcio embeds one, web servers' authorities two or three."""
DER_ELEMENTS: Final = 256
"""Elements of one level of DER: what is read here has no list longer than a bag of CHAIN_CERTIFICATES."""

# --- identities and conditions -----------------------------------------------------------------------------------
IDENTITY_CHARS: Final = 4096
"""A text, pattern or regexp of an identity: workflow URIs have a few hundred characters."""
REGEXP_BYTES: Final = 1 * MIB
"""Memory of one compiled regexp; RE2 allows 8 MiB, and where its automaton does not fit matching slows down."""
CLAIM_BYTES: Final = 16 * KIB
"""One name or claim of a certificate: a regexp is matched against it, and all of a certificate has 64 KiB."""
CONDITION_CHARS: Final = 4096
"""A condition's text: one that is longer belongs in several."""
CONDITION_NESTING: Final = 3
"""Loops of a condition inside one another: components of components have two."""
CONDITION_NODES: Final = 1_000_000
"""Values of a statement that a condition is asked of: each is copied, and an SBOM of a large image has 200,000."""
CONDITION_LOOP_NODES: Final = 10_000
"""The same where a loop's body looks outside its element: every one of 10,000 turns may go through all of them."""
CONDITION_LOOP_CHARS: Final = 16 * KIB
"""The longest text of a statement there: every turn may match a regexp against it."""
