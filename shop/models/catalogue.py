from __future__ import annotations

from functools import reduce
from operator import and_

from django.contrib import admin
from django.core.validators import MaxValueValidator
from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from shop.money import formatted
from shop.validation import (
    HIGHEST_PRICE_MINOR,
    PRODUCT_NAME_LENGTH,
    SKU_LENGTH,
    validate_printable,
    validate_sku,
)

MAX_WORDS = 8


class Category(models.Model):
    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=80)
    blurb = models.CharField(max_length=200, blank=True)
    place = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ("place", "name")
        verbose_name_plural = "categories"

    def __str__(self) -> str:
        return self.name


class ProductQuerySet(models.QuerySet["Product"]):
    def for_sale(self) -> ProductQuerySet:
        return self.filter(is_available=True)

    def in_category(self, slug: str) -> ProductQuerySet:
        return self.filter(category__slug=slug) if slug else self

    def matching(self, text: str) -> ProductQuerySet:
        """Products that have every word of `text` in name, summary or keywords."""
        words = text.replace("\x00", " ").split()[:MAX_WORDS]
        return self.filter(reduce(and_, map(_has_word, words), models.Q()))


def _has_word(word: str) -> models.Q:
    return (
        models.Q(name__icontains=word)
        | models.Q(summary__icontains=word)
        | models.Q(keywords__icontains=word)
    )


class Product(models.Model):
    sku = models.CharField(
        "SKU", max_length=SKU_LENGTH, unique=True, validators=[validate_sku]
    )
    slug = models.SlugField(max_length=80, unique=True)
    name = models.CharField(
        max_length=PRODUCT_NAME_LENGTH, validators=[validate_printable]
    )
    summary = models.CharField(max_length=200, blank=True)
    description = models.TextField(blank=True)
    price_minor = models.PositiveIntegerField(
        _("price in minor units"), validators=[MaxValueValidator(HIGHEST_PRICE_MINOR)]
    )
    currency = models.CharField(max_length=3, default="EUR")
    category = models.ForeignKey(Category, models.PROTECT, related_name="products")
    picture = models.CharField(
        max_length=200, blank=True, help_text=_("Path of a static file.")
    )
    is_available = models.BooleanField(_("for sale"), default=True)
    keywords = models.CharField(max_length=300, blank=True)

    objects = ProductQuerySet.as_manager()

    class Meta:
        ordering = ("category__place", "name")

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("shop:product", args=[self.slug])

    @property
    @admin.display(description=_("price"))
    def price(self) -> str:
        return formatted(self.price_minor, self.currency)
