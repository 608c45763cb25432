"""Somebody who buys with a browser that knows no JavaScript."""

from __future__ import annotations

import re
import urllib.parse
import urllib.request
from dataclasses import dataclass
from http.cookiejar import CookieJar

HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')
ORDER = re.compile(r"/orders/([^/]+)/$")
PATIENCE_SECONDS = 60
ADDRESS = {
    "name": "Ada Horn",
    "email": "ada@example.com",
    "line1": "Bandstand Lane 4",
    "line2": "",
    "postal_code": "10115",
    "city": "Berlin",
    "country": "DE",
}
CARD = {
    "card_number": "4242 4242 4242 4242",
    "card_expiry": "12/49",
    "card_cvc": "123",
}


@dataclass(frozen=True)
class Page:
    url: str
    text: str

    @property
    def hidden(self) -> dict[str, str]:
        return dict(HIDDEN.findall(self.text))


class Customer:
    """Keeps cookies, follows redirects, sends forms with what they hide."""

    def __init__(self, site: str) -> None:
        self.site = site
        cookies = urllib.request.HTTPCookieProcessor(CookieJar())
        self._opener = urllib.request.build_opener(cookies)

    def look(self, path: str, form: dict[str, str] | None = None) -> Page:
        body = None if form is None else urllib.parse.urlencode(form).encode()
        url = urllib.parse.urljoin(self.site, path)
        with self._opener.open(url, body, timeout=PATIENCE_SECONDS) as answer:
            return Page(answer.url, answer.read().decode())

    def buy(self, product: str = "quickwater-valve-oil") -> str:
        """Buy one of it as a guest; the order's public id."""
        shelf = f"/products/{product}/"
        self.look(shelf, {**self.look(shelf).hidden, "quantity": "1"})
        till = self.look("/checkout/")
        bought = self.look("/checkout/", {**till.hidden, **ADDRESS, **CARD})
        match = ORDER.search(bought.url)
        assert match, f"no order, but {bought.url}: {bought.text[:2000]}"
        return match[1]

    def sees_all_done(self, order: str) -> bool:
        return "All done" in self.look(f"/orders/{order}/").text
