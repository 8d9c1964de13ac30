"""One reader per dataset: official files in, canonical annotations out."""
