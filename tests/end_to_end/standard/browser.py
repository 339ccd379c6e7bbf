"""Uses Horizon as a person does: logs in, launches an instance, waits until it is ACTIVE.

Reads one JSON object from standard input: url, user, password, instance, image, flavor, network and
the directory for screenshots. A screenshot is kept of every step, and of a failure.
"""

import json
import pathlib
import sys

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions as condition
from selenium.webdriver.support.ui import WebDriverWait

# Seconds. The first page of a fresh Horizon loads all of its Python.
PATIENCE = 90


class Person:
    """Somebody in front of a browser."""

    def __init__(self, wishes):
        options = webdriver.ChromeOptions()
        # The browser's own sandbox does not start for root.
        for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1400,1000"):
            options.add_argument(argument)
        options.add_argument("--no-proxy-server")
        options.binary_location = "/usr/bin/chromium"
        self.driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
        self.wait = WebDriverWait(self.driver, PATIENCE)
        self.wishes = wishes
        self.pictures = pathlib.Path(wishes["screenshots"])
        self.pictures.mkdir(parents=True, exist_ok=True)

    def keep(self, name):
        """Keeps what is on the screen."""
        self.driver.save_screenshot(str(self.pictures / f"{name}.png"))

    def log_in(self):
        self.driver.get(self.wishes["url"])
        self.wait.until(condition.visibility_of_element_located((By.ID, "id_username")))
        self.keep("1-login")
        self.driver.find_element(By.ID, "id_username").send_keys(self.wishes["user"])
        self.driver.find_element(By.ID, "id_password").send_keys(self.wishes["password"])
        self.driver.find_element(By.ID, "loginBtn").click()
        self.wait.until(condition.presence_of_element_located((By.ID, "sidebar-accordion")))
        self.keep("2-overview")

    def choose(self, step, wanted):
        """Takes one row of a step's table, unless it has been taken already."""
        self.open_step(step)
        section = self.visible_step()
        taken = f".//*[contains(@class, 'transfer-allocated')]//tr[contains(., '{wanted}')]"
        free = f".//*[contains(@class, 'transfer-available')]//tr[contains(., '{wanted}')]//button"
        self.wait.until(lambda _: section.find_elements(By.XPATH, taken) or section.find_elements(By.XPATH, free))
        if section.find_elements(By.XPATH, free):
            button = next(one for one in section.find_elements(By.XPATH, free) if one.is_displayed())
            self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
            button.click()
        self.wait.until(lambda _: section.find_elements(By.XPATH, taken))

    def open_step(self, title):
        item = (By.XPATH, f"//li[contains(@class, 'nav-item') and contains(., '{title}')]//a")
        self.wait.until(condition.element_to_be_clickable(item)).click()

    def visible_step(self):
        steps = (By.CSS_SELECTOR, ".ng-wizard .wizard-steps .step")
        shown = lambda driver: [step for step in driver.find_elements(*steps) if step.is_displayed()]
        return self.wait.until(shown)[0]

    def launch(self):
        self.driver.get(self.wishes["url"].rstrip("/") + "/project/instances/")
        button = (By.ID, "instances__action_launch-ng")
        self.wait.until(condition.element_to_be_clickable(button)).click()
        name = self.wait.until(condition.element_to_be_clickable((By.CSS_SELECTOR, ".ng-wizard input#name")))
        name.send_keys(self.wishes["instance"])
        self.choose("Source", self.wishes["image"])
        self.choose("Flavor", self.wishes["flavor"])
        self.choose("Networks", self.wishes["network"])
        self.keep("3-wizard")
        finish = (By.CSS_SELECTOR, ".ng-wizard button.finish")
        self.wait.until(condition.element_to_be_clickable(finish)).click()
        self.wait.until(condition.invisibility_of_element_located((By.CSS_SELECTOR, ".ng-wizard")))

    def see_it_active(self):
        row = f"//table[@id='instances']//tr[contains(., '{self.wishes['instance']}') and contains(., 'Active')]"
        self.wait.until(condition.presence_of_element_located((By.XPATH, row)))
        self.keep("4-active")


def main():
    person = Person(json.load(sys.stdin))
    try:
        person.log_in()
        person.launch()
        person.see_it_active()
    except Exception:
        person.keep("failure")
        print(person.driver.current_url, file=sys.stderr)
        raise
    finally:
        person.driver.quit()


if __name__ == "__main__":
    main()
