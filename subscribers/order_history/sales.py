"""The company's sales by day and by product: a page, and two files for a sheet."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from subscribers.money import major
from subscribers.order_history.chart import Chart, draw
from subscribers.order_history.figures import (
    DayFigure,
    ProductFigure,
    by_day,
    by_product,
    currencies,
)
from subscribers.order_history.period import Period, asked_period, last_days

#: A cell that begins so is a formula to a spreadsheet: a product's name must not be.
#: A semicolon or a tab begins a new cell in the spreadsheets of some languages.
FORMULA = re.compile(r"(^|[;\t\r\n])(\s*[=+\-@\uff1d\uff0b\uff0d\uff20\t\r\n])")
PRESETS = (7, 30, 90)


@dataclass(frozen=True, kw_only=True)
class Sales:
    """Everything sold in one currency."""

    currency: str
    days: list[DayFigure]
    products: list[ProductFigure]
    chart: Chart

    @property
    def total_minor(self) -> int:
        return sum(figure.total_minor for figure in self.days)

    @property
    def orders(self) -> int:
        return sum(figure.orders for figure in self.days)

    @property
    def items(self) -> int:
        return sum(figure.items for figure in self.days)

    @property
    def mean_minor(self) -> int:
        return (2 * self.total_minor + self.orders) // (2 * self.orders)


View = Callable[[HttpRequest], HttpResponse]


def for_sales_readers(view: View) -> View:
    """Only for staff with the permission; other staff get 403, visitors the login."""
    permitted = permission_required("order_history.view_sales", raise_exception=True)
    return staff_member_required(permitted(view))


@require_safe
@never_cache
@for_sales_readers
def overview(request: HttpRequest) -> HttpResponse:
    period, form = asked_period(request.GET)
    return render(
        request,
        "order_history/sales.html",
        {
            "period": period,
            "form": form,
            "presets": [(count, last_days(count)) for count in PRESETS],
            "sales": _sales(period),
        },
    )


@require_safe
@never_cache
@for_sales_readers
def by_day_csv(request: HttpRequest) -> HttpResponse:
    period, _ = asked_period(request.GET)
    head = ["day", "currency", "orders", "items", "shipping", "total"]
    rows = (
        [
            figure.day.isoformat(), figure.currency, figure.orders, figure.items,
            major(figure.shipping_minor, figure.currency),
            major(figure.total_minor, figure.currency),
        ]
        for figure in by_day(period)
    )  # fmt: skip
    return _csv(f"sales-by-day-{period.first}-{period.last}.csv", head, rows)


@require_safe
@never_cache
@for_sales_readers
def by_product_csv(request: HttpRequest) -> HttpResponse:
    period, _ = asked_period(request.GET)
    head = ["sku", "name", "currency", "quantity", "total"]
    rows = (
        [
            _text(figure.sku), _text(figure.name), figure.currency, figure.quantity,
            major(figure.total_minor, figure.currency),
        ]
        for figure in by_product(period)
    )  # fmt: skip
    return _csv(f"sales-by-product-{period.first}-{period.last}.csv", head, rows)


def _sales(period: Period) -> list[Sales]:
    days, products = by_day(period), by_product(period)
    return [
        Sales(
            currency=currency,
            days=(mine := [day for day in days if day.currency == currency]),
            products=[product for product in products if product.currency == currency],
            chart=draw(period.days(), {day.day: day.total_minor for day in mine}),
        )
        for currency in currencies(days)
    ]


def _text(value: str) -> str:
    return FORMULA.sub(r"\1'\2", value)


def _csv(
    filename: str, head: Sequence[str], rows: Iterable[Sequence[object]]
) -> HttpResponse:
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{filename}"'
    writer = csv.writer(response)
    writer.writerow(head)
    writer.writerows(rows)
    return response
