from __future__ import annotations

from django.urls import path

from shop.views import basket, catalogue, checkout, order

app_name = "shop"

urlpatterns = [
    path("", catalogue.catalogue, name="catalogue"),
    path("products/<slug:slug>/", catalogue.product, name="product"),
    path("basket/", basket.basket, name="basket"),
    path("checkout/", checkout.checkout, name="checkout"),
    path("checkout/<uuid:key>/", checkout.pending, name="checkout-pending"),
    path("orders/<slug:public_id>/", order.order, name="order"),
    path("orders/<slug:public_id>/progress/", order.progress, name="order-progress"),
]
