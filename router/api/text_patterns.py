"""What texts must be, in the regular expressions of JSON Schema (ECMA-262)."""

from __future__ import annotations

from router.contract import attributes
from router.contract.attributes import EXTENSION_NAME
from router.contract.data import MEDIA_TYPE
from router.operate.subscribers import NAME as SUBSCRIBER
from router.transports.webhook import headers

#: Control characters, and what Unicode says is no character. Beyond the first plane
#: there are 32 more, for which engines have no common notation.
_FORBIDDEN = r"\u0000-\u001f\u007f-\u009f\ufdd0-\ufdef\ufffe\uffff"


def whole(pattern: str) -> str:
    """The pattern, for the whole of a text."""
    return f"^({pattern})$"


#: What every field refuses: no database keeps it in a text.
NO_NUL = r"^[^\u0000]*$"
NOT_BLANK = r"^[^\u0000]*[^\s\u0000][^\u0000]*$"
ATTRIBUTE = f"^[^{_FORBIDDEN}]*$"
ATTRIBUTE_NAME = whole(EXTENSION_NAME.pattern)
MEMBER_NAME = whole(f"{EXTENSION_NAME.pattern}|data_base64")
TYPES = whole(rf"\*|[^*{_FORBIDDEN}]+(\.\*)?")
#: Exact, or a `*` at the end for any rest.
PREFIX = whole(rf"\*|[^*{_FORBIDDEN}]+\*?")
#: The bits that belong to no byte are zero (RFC 4648, section 3.5).
BASE64 = (
    r"^([A-Za-z0-9+/]{4})*"
    r"([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$"
)
TRACEPARENT = whole(attributes.TRACEPARENT.pattern)
MEDIA = whole(MEDIA_TYPE.pattern)
SUBSCRIBER_NAME = whole(SUBSCRIBER.pattern)
HEADER_NAME = whole(headers.NAME.pattern)
HEADER_VALUE = whole(headers.VALUE.pattern)
#: What else a URL must be, JSON Schema can't say.
URL = r"^(https?://[^\s\\@/?#]+([/?][^\s\\#]*)?)?$"
