from __future__ import annotations

from django.urls import path

from subscribers.order_history import account, sales

app_name = "order_history"

urlpatterns = [
    path("account/orders/", account.purchases, name="purchases"),
    path("account/orders/leave/", account.leave, name="leave"),
    path("account/orders/<str:token>/", account.open_link, name="open"),
    path("sales/", sales.overview, name="sales"),
    path("sales/by-day.csv", sales.by_day_csv, name="sales-by-day"),
    path("sales/by-product.csv", sales.by_product_csv, name="sales-by-product"),
]
