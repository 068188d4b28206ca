"""Result sets for notebooks: tables, HTML cards and plots."""
