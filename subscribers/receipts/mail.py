"""The receipt as a mail: one text, one page, one name for both attempts."""

from __future__ import annotations

from email.utils import formataddr

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext

from router.public import Event
from subscribers.receipts.conf import history_link, shop_name
from subscribers.receipts.payloads import Purchase
from subscribers.sending import message_id


def receipt(event: Event, purchase: Purchase) -> EmailMultiAlternatives:
    """The mail for this purchase, in the language in which it was ordered, or in the
    site's where that is unknown."""
    with translation.override(_language(purchase)):
        context = _context(event, purchase)
        mail = EmailMultiAlternatives(
            subject=gettext("Your receipt from %(shop)s") % {"shop": shop_name()},
            body=render_to_string("receipts/receipt.txt", context),
            to=[_recipient(purchase)],
            headers={"Message-ID": message_id("receipt", event)},
        )
        mail.attach_alternative(
            render_to_string("receipts/receipt.html", context), "text/html"
        )
    return mail


def _language(purchase: Purchase) -> str:
    try:
        return translation.get_supported_language_variant(purchase.order.language)
    except LookupError:
        return settings.LANGUAGE_CODE


def _recipient(purchase: Purchase) -> str:
    name = purchase.customer.greeted_as
    # Else the reader's mail program decodes an encoded word that the customer typed,
    # with the line ends that it hides.
    return formataddr((name.replace("=?", "= ?"), purchase.customer.email))


def _context(event: Event, purchase: Purchase) -> dict[str, object]:
    totals, shown = purchase.totals, purchase.shown
    return {
        "shop_name": shop_name(),
        "site_url": settings.SITE_URL,
        "history_link": history_link(
            source=event.source,
            customer_id=purchase.customer.id,
            email=purchase.customer.email,
        ),
        "order": purchase.order,
        "customer": purchase.customer,
        "address_lines": purchase.shipping_address.lines,
        "payment": purchase.payment,
        "lines": [
            {
                "name": line.name,
                "quantity": line.quantity,
                "unit_price": shown(line.unit_price_minor),
                "total": shown(line.total_minor),
            }
            for line in purchase.lines
        ],
        "subtotal": shown(totals.subtotal_minor),
        "shipping": shown(totals.shipping_minor) if totals.shipping_minor else "",
        "total": shown(totals.total_minor),
    }
