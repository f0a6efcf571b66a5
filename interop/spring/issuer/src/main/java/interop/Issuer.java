package interop;

import static org.springaicommunity.mcp.security.authorizationserver.config.McpAuthorizationServerConfigurer.mcpAuthorizationServer;
import static org.springframework.security.config.Customizer.withDefaults;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.core.userdetails.User;
import org.springframework.security.core.userdetails.UserDetailsService;
import org.springframework.security.provisioning.InMemoryUserDetailsManager;
import org.springframework.security.web.SecurityFilterChain;

/** Spring's authorization server with the MCP configurer, as the README of mcp-security has it, with two users and an error page that everybody may see. */
@SpringBootApplication
public class Issuer {
    public static void main(String[] args) {
        SpringApplication.run(Issuer.class, args);
    }

    @Bean
    SecurityFilterChain chain(HttpSecurity http) throws Exception {
        return http.authorizeHttpRequests(auth -> auth.requestMatchers("/error").permitAll().anyRequest().authenticated())
                .with(mcpAuthorizationServer(), withDefaults())
                .formLogin(withDefaults())
                .build();
    }

    @Bean
    UserDetailsService users() {
        return new InMemoryUserDetailsManager(
                User.withUsername("alice").password("{noop}alice-password-1").roles("USER").build(),
                User.withUsername("bob").password("{noop}bob-password-1").roles("USER").build(),
                User.withUsername("carol").password("{noop}carol-password-1").roles("USER").build());
    }
}
