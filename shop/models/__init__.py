from shop.models.catalogue import Category, Product
from shop.models.intent import CheckoutIntent, IntentState
from shop.models.order import Customer, Order, OrderLine
from shop.models.payment import Payment, PaymentState
from shop.models.sandbox import SandboxCharge, SandboxState

__all__ = [
    "Category",
    "CheckoutIntent",
    "Customer",
    "IntentState",
    "Order",
    "OrderLine",
    "Payment",
    "PaymentState",
    "Product",
    "SandboxCharge",
    "SandboxState",
]
