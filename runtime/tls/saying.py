"""What a handshake that failed means. Pure: errors of TLS become sentences for whoever runs the programs.

Of each: what is wrong, with which of the two, and what to do.
"""

import re
import ssl
from collections.abc import Iterator, Mapping

AUTHORITY = "signed by no authority that the ca.pem here holds"
_BY_CODE: Mapping[int, str] = {
    7: AUTHORITY,
    9: "not valid yet: are the clocks right?",
    10: "expired: replace cert.pem and key.pem there",
    18: AUTHORITY,
    19: AUTHORITY,
    20: AUTHORITY,
    21: AUTHORITY,
    26: "not made for that use: extendedKeyUsage is serverAuth for who is called, clientAuth for who calls",
}
"""X509_V_ERR_… of OpenSSL, which Python tells as `verify_code`."""
MISMATCH = (62, 64)
_ALERTS: Mapping[str, str] = {
    "CERTIFICATE_REQUIRED": "it demands a certificate and was shown none",
    "BAD_CERTIFICATE": "it does not accept our certificate",
    "UNSUPPORTED_CERTIFICATE": "our certificate is not made for calling: extendedKeyUsage must be clientAuth",
    "CERTIFICATE_REVOKED": "our certificate was revoked: replace cert.pem and key.pem here",
    "CERTIFICATE_EXPIRED": "our certificate has expired: replace cert.pem and key.pem here",
    "CERTIFICATE_UNKNOWN": "it does not accept our certificate",
    "UNKNOWN_CA": "its ca.pem does not hold the authority that signed our certificate",
    "ACCESS_DENIED": "it lets nobody in who has our certificate",
    "DECRYPT_ERROR": "our certificate and key do not belong together, it says",
}
"""Of RFC 8446 section 6.2, those by which a server refuses its client's certificate. Without post-handshake
authentication, which nobody asks for, they come before the server has read any request."""
_ALERT = re.compile(r"(?:SSLV3|TLSV1|TLSV13)_ALERT_(\w+)")
_IN_TEXT = re.compile(r"\[SSL: (\w+)\]")
_PLAIN = frozenset({"WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL"})
MOST_CAUSES = 8


def of_called(error: BaseException) -> str | None:
    """What is wrong with whom we called, or with us in its eyes; None when it has nothing to do with TLS."""
    if (told := refused_us(error)) is not None:
        return told
    if (verdict := _verdict(error)) is not None:
        if verdict.verify_code in MISMATCH:
            return f"its certificate is another's: {verdict.verify_message}"
        return f"its certificate is {_BY_CODE.get(verdict.verify_code, verdict.verify_message)}"
    reason = _reason(error)
    if reason in _PLAIN:
        return "it speaks no TLS: its address is to begin with http://, or it is to be given certificates"
    if reason is not None and (reason.endswith("PROTOCOL_VERSION") or reason == "UNSUPPORTED_PROTOCOL"):
        return "it does not speak TLS 1.3"
    return None if reason is None else f"TLS fails: {reason.lower().replace('_', ' ')}"


def is_stranger(error: BaseException) -> bool:
    """Whether whom we called did not prove by its certificate that it is who was meant."""
    return _verdict(error) is not None


def refused_us(error: BaseException) -> str | None:
    """Why a server does not accept our certificate: it has read nothing of what was sent. None: it is not that."""
    found = _ALERT.fullmatch(_reason(error) or "")
    return None if found is None else _ALERTS.get(found[1])


def of_client(error: ssl.SSLError) -> str:
    """Why a client was refused, as its server tells in its log."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is {_BY_CODE.get(error.verify_code, error.verify_message)}"
    if error.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return "it showed no certificate: is it told its folder with certificates?"
    if error.reason in ("HTTP_REQUEST", "WRONG_VERSION_NUMBER"):
        return "it speaks no TLS: is the address that it was given to begin with https://?"
    if error.reason is not None and error.reason.startswith(("UNSUPPORTED_PROTOCOL", "VERSION_TOO_LOW")):
        return "it does not speak TLS 1.3"
    if error.reason is not None and (alert := _ALERT.fullmatch(error.reason)) is not None:
        return f"it does not accept our certificate: {alert[1].lower().replace('_', ' ')}"
    return f"TLS fails: {(error.reason or str(error)).lower().replace('_', ' ')}"


def of_own(error: ssl.SSLCertVerificationError) -> str:
    """What others would find wrong with our own certificate."""
    if error.verify_code in MISMATCH:
        return error.verify_message
    if _BY_CODE.get(error.verify_code) is AUTHORITY:
        return "it is not signed by the authority in ca.pem beside it: they come from different fleets"
    return f"it is {_BY_CODE.get(error.verify_code, error.verify_message)}"


def _verdict(error: BaseException) -> ssl.SSLCertVerificationError | None:
    """Python's own error; aiohttp's of the same kind do not say what was wrong."""
    for each in _causes(error):
        if isinstance(each, ssl.SSLCertVerificationError) and hasattr(each, "verify_code"):
            return each
    return None


def _reason(error: BaseException) -> str | None:
    """OpenSSL's name of what failed. Some libraries wrap the error and keep its text alone."""
    for each in _causes(error):
        if isinstance(each, ssl.SSLError) and (reason := getattr(each, "reason", None)):
            return str(reason)
        if (found := _IN_TEXT.search(str(each))) is not None:
            return found[1]
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    for _ in range(MOST_CAUSES):
        if found is None:
            return
        yield found
        found = found.__cause__ or found.__context__
