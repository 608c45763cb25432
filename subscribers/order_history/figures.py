"""What was sold: counted by the database, by day and by product."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from django.db.models import Count, Max, QuerySet, Sum
from django.db.models.functions import TruncDate

from subscribers.order_history.models import PurchaseLine, PurchaseRecord
from subscribers.order_history.period import Period


@dataclass(frozen=True, kw_only=True)
class DayFigure:
    """One day's sales in one currency; amounts in minor units."""

    day: date
    currency: str
    orders: int
    items: int
    shipping_minor: int
    total_minor: int


@dataclass(frozen=True, kw_only=True)
class ProductFigure:
    """One product's sales in one currency; amounts in minor units."""

    sku: str
    name: str
    currency: str
    quantity: int
    total_minor: int


def by_day(period: Period) -> list[DayFigure]:
    """The days with sales, by currency, then day."""
    items = _items_by_day(period)
    rows = (
        _purchases(period)
        .annotate(day=TruncDate("placed_at"))
        .values("day", "currency")
        .order_by("currency", "day")
        .annotate(
            orders=Count("id"),
            shipping=Sum("shipping_minor"),
            total=Sum("total_minor"),
        )
    )
    return [
        DayFigure(
            day=row["day"],
            currency=row["currency"],
            orders=row["orders"],
            items=items.get((row["day"], row["currency"]), 0),
            shipping_minor=int(row["shipping"]),
            total_minor=int(row["total"]),
        )
        for row in rows
    ]


def by_product(period: Period) -> list[ProductFigure]:
    """The products that were sold, by currency, what brought most first."""
    rows = (
        _lines(period)
        .values("sku", "purchase__currency")
        .annotate(last_name=Max("name"), count=Sum("quantity"), sum=Sum("total_minor"))
        .order_by("purchase__currency", "-sum", "sku")
    )
    return [
        ProductFigure(
            sku=row["sku"],
            name=row["last_name"],
            currency=row["purchase__currency"],
            quantity=int(row["count"]),
            total_minor=int(row["sum"]),
        )
        for row in rows
    ]


def currencies(figures: Iterable[DayFigure]) -> list[str]:
    return sorted({figure.currency for figure in figures})


def _purchases(period: Period) -> QuerySet[PurchaseRecord]:
    return PurchaseRecord.objects.filter(
        placed_at__gte=period.start, placed_at__lt=period.end
    )


def _lines(period: Period) -> QuerySet[PurchaseLine]:
    return PurchaseLine.objects.filter(
        purchase__placed_at__gte=period.start, purchase__placed_at__lt=period.end
    ).order_by()


def _items_by_day(period: Period) -> dict[tuple[date, str], int]:
    rows = (
        _lines(period)
        .annotate(day=TruncDate("purchase__placed_at"))
        .values("day", "purchase__currency")
        .annotate(count=Sum("quantity"))
        .values_list("day", "purchase__currency", "count")
    )
    return {(day, currency): int(count) for day, currency, count in rows}
