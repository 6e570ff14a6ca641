"""The OCI distribution API without I/O: requests to make, replies to read, challenges to answer."""

from plimsoll.wire.challenge import Challenge, choose_challenge, parse_challenges
from plimsoll.wire.replies import (
    Headers,
    Reply,
    next_page,
    parse_referrers,
    parse_retry_after,
    parse_tags_page,
    refusal,
)
from plimsoll.wire.requests import (
    Request,
    blob_request,
    digest_request,
    page_request,
    referrers_request,
    tag_request,
    tags_request,
)
from plimsoll.wire.signature_lists import has_signature_lists, parse_signature_list, signature_list_request
from plimsoll.wire.token import (
    Token,
    TokenRequest,
    parse_token,
    pull_scope,
    push_scope,
    refresh_request,
    token_request,
)
from plimsoll.wire.uploads import begin_upload, finish_upload, put_manifest, upload_target

__all__ = [
    "Challenge",
    "Headers",
    "Reply",
    "Request",
    "Token",
    "TokenRequest",
    "begin_upload",
    "blob_request",
    "choose_challenge",
    "digest_request",
    "finish_upload",
    "has_signature_lists",
    "next_page",
    "page_request",
    "parse_challenges",
    "parse_referrers",
    "parse_retry_after",
    "parse_signature_list",
    "parse_tags_page",
    "parse_token",
    "pull_scope",
    "push_scope",
    "put_manifest",
    "referrers_request",
    "refresh_request",
    "refusal",
    "signature_list_request",
    "tag_request",
    "tags_request",
    "token_request",
    "upload_target",
]
