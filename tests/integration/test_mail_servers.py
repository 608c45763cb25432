"""A receipt goes to a mail server, or to files that a page shows."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.test import Client

from router.public import Reject, RetryLater
from subscribers.receipts.file_mail import EmailBackend
from subscribers.receipts.handler import mail_receipt
from tests.integration.events import purchase

# Whether a customer gets a link is a question to the shop's tables.
pytestmark = pytest.mark.django_db
FILES = "subscribers.receipts.file_mail.EmailBackend"
SMTP = "django.core.mail.backends.smtp.EmailBackend"


# ── The mail server's answers ────────────────────────────────────────────────


class Answering(socketserver.StreamRequestHandler):
    """A mail server that says to one command what the test wants."""

    def handle(self) -> None:
        answers: dict[str, str] = self.server.answers  # type: ignore[attr-defined]
        self.say(answers.get("CONNECT", "220 ready"))
        while command := self.rfile.readline().decode().strip():
            word = command.split()[0].upper()
            self.say(answers.get(word, "354 go on" if word == "DATA" else "250 fine"))
            if word == "DATA" and "DATA" not in answers:
                while self.rfile.readline() not in (b".\r\n", b""):
                    pass
                self.say(answers.get("END", "250 taken"))

    def say(self, words: str) -> None:
        self.wfile.write(f"{words}\r\n".encode())


@pytest.fixture
def mail_server(settings: Any) -> Iterator[dict[str, str]]:
    """The answers by command; what is left out is answered kindly."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answering) as server:
        answers: dict[str, str] = {}
        server.answers = answers  # type: ignore[attr-defined]
        server.daemon_threads = True
        settings.EMAIL_BACKEND = SMTP
        settings.EMAIL_HOST, settings.EMAIL_PORT = server.server_address[:2]
        settings.EMAIL_USE_TLS = False
        settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield answers
        server.shutdown()
        thread.join()


def test_a_kind_mail_server_takes_the_receipt(mail_server: dict[str, str]) -> None:
    mail_receipt(purchase())


@pytest.mark.parametrize(
    ("command", "answer", "raised"),
    [
        ("RCPT", "550 no such user clara@example.com", Reject),
        ("RCPT", "450 mailbox busy", RetryLater),
        ("END", "554 clara@example.com is spam", Reject),
        ("END", "451 try later", RetryLater),
        ("MAIL", "530 we do not know you", RetryLater),
        ("CONNECT", "421 closing", ConnectionError),
    ],
)
def test_answers_mean_later_or_never_and_quote_nobody(
    mail_server: dict[str, str], command: str, answer: str, raised: type[Exception]
) -> None:
    mail_server[command] = answer
    with pytest.raises(raised) as caught:
        mail_receipt(purchase())

    assert answer[:3] in str(caught.value)
    assert "clara" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_no_mail_server_is_an_outage(settings: Any, free_port: int) -> None:
    settings.EMAIL_BACKEND = SMTP
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port
    settings.EMAIL_USE_TLS = False
    with pytest.raises(ConnectionError):
        mail_receipt(purchase())


def test_a_mail_server_that_has_no_address_is_an_outage(settings: Any) -> None:
    settings.EMAIL_BACKEND = SMTP
    settings.EMAIL_HOST = "mail.invalid"
    with pytest.raises(ConnectionError, match="can't be reached"):
        mail_receipt(purchase())


# ── Mails as files, and the page that shows them ─────────────────────────────


@pytest.fixture
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.EMAIL_BACKEND = FILES
    settings.EMAIL_FILE_PATH = tmp_path / "mail"
    settings.DEBUG = True
    return tmp_path / "mail"


def test_each_mail_is_a_file_of_its_own(folder: Path) -> None:
    mail_receipt(purchase("ord_1"))
    mail_receipt(purchase("ord_2"))

    assert len(list(folder.glob("*.eml"))) == len(list(folder.iterdir())) == 2


def test_a_mail_that_was_sent_twice_shows_by_its_digest(folder: Path) -> None:
    mail_receipt(purchase())
    mail_receipt(purchase())

    assert len({file.name.partition("-")[2] for file in folder.iterdir()}) == 1


def test_a_folder_that_can_not_be_written_is_an_outage(folder: Path) -> None:
    folder.write_text("in the way")
    with pytest.raises(ConnectionError):
        mail_receipt(purchase())


def test_the_page_lists_the_newest_first(folder: Path, client: Client) -> None:
    mail_receipt(purchase("ord_1", email="first@example.com"))
    mail_receipt(purchase("ord_2", email="second@example.com"))
    page = client.get("/mail/").content.decode()

    assert page.index("second@example.com") < page.index("first@example.com")


def test_an_empty_mailbox_says_what_will_appear(folder: Path, client: Client) -> None:
    assert "No mail yet" in client.get("/mail/").content.decode()


def test_the_mail_is_shown_as_text_and_in_a_locked_frame(
    folder: Path, client: Client
) -> None:
    mail_receipt(purchase())
    (file,) = folder.iterdir()
    page = client.get(f"/mail/{file.name}/").content.decode()
    framed = client.get(f"/mail/{file.name}/html/")

    assert "2 × The mute" in page
    assert f'<iframe src="/mail/{file.name}/html/"' in page
    assert "sandbox=" in page
    assert "allow-scripts" not in page
    assert framed["Content-Security-Policy"].startswith(
        "default-src 'none'; style-src 'unsafe-inline'"
    )
    assert framed["X-Frame-Options"] == "SAMEORIGIN"
    assert "Thank you for your order" in framed.content.decode()


@pytest.mark.parametrize(
    "name",
    ["..", "%2e%2e%2fsecret.eml", "..%2fsecret.eml", "secret.eml",
     "20261120T101500000000Z-000000000000.eml", "20261120T101500000000Z-0.eml%00"],
)  # fmt: skip
def test_no_other_file_can_be_read(folder: Path, client: Client, name: str) -> None:
    mail_receipt(purchase())
    (folder / "secret.eml").write_text("Subject: secret\n\nsecret")
    (folder.parent / "secret.eml").write_text("Subject: secret\n\nsecret")

    assert client.get(f"/mail/{name}/").status_code == 404
    assert client.get(f"/mail/{name}/html/").status_code == 404


def test_outside_debug_there_are_no_mail_pages(
    folder: Path, client: Client, settings: Any
) -> None:
    mail_receipt(purchase())
    (file,) = folder.iterdir()
    settings.DEBUG = False

    for address in ("/mail/", f"/mail/{file.name}/", f"/mail/{file.name}/html/"):
        assert client.get(address, secure=True).status_code == 404


def test_the_file_backend_writes_any_mail(folder: Path) -> None:
    EmailBackend().send_messages(
        [mail.EmailMessage("Hello", "You", to=["a@b.example"])]
    )

    assert b"Subject: Hello" in next(folder.iterdir()).read_bytes()
