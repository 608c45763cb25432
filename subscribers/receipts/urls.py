from __future__ import annotations

from django.urls import path

from subscribers.receipts import views

app_name = "receipts"

urlpatterns = [
    path("mail/", views.mails, name="mails"),
    path("mail/<str:name>/", views.mail, name="mail"),
    path("mail/<str:name>/html/", views.mail_html, name="mail-html"),
]
