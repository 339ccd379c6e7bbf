# What the static files depend on, for the steps that make them. At run time the service's own
# settings take their place.
SECRET_KEY = "static files are made without sessions"
ALLOWED_HOSTS = ["testserver"]
STATIC_ROOT = "/tmp/static"
COMPRESS_OFFLINE = True
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
